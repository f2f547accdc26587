import { library } from "../../tooling/tsup/index.ts";

// A program, not a library: nothing imports it, so there are no types and no CommonJS.
export default library({ entry: ["src/main.ts"], format: ["esm"], dts: false });
