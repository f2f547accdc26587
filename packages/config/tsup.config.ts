import { library } from "../../tooling/tsup/index.ts";

export default library({ entry: ["src/index.ts", "src/presets.ts", "src/gguf.ts"] });
