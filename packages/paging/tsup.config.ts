import { library } from "../../tooling/tsup/index.ts";

export default library({
  entry: { index: "src/index.ts", replay: "src/replay/index.ts", prometheus: "src/prometheus.ts" },
  splitting: true, // errors thrown by one entry point are instances of the other's classes, in CommonJS too
});
