import { kvVitest } from "../../tooling/vitest/index.ts";

export default kvVitest();
