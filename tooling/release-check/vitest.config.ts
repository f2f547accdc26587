import { kvVitest } from "../vitest/index.ts";

export default kvVitest();
