import { library } from "../../tooling/tsup/index.ts";

export default library();
