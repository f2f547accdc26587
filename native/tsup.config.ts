import { library } from "../tooling/tsup/index.ts";

export default library({ entry: ["index.ts"], shims: true });
