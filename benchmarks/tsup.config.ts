import { defineConfig } from "tsup";

export default defineConfig({ entry: ["*.bench.ts"], format: ["esm"], target: "node20.19", clean: true });
