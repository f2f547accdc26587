import { defineConfig } from "tsup";

// The script of the report that `kv replay --html` writes: one file with its library and styles, for a browser.
export default defineConfig({
  entry: { "report-page": "report-page/main.ts" },
  format: ["iife"],
  platform: "browser",
  target: "es2022",
  minify: true,
  silent: true,
  noExternal: [/.*/],
  loader: { ".css": "text" },
  outExtension: () => ({ js: ".js" }),
  banner: {
    js: "/*! With uPlot 1.6.32, Copyright (c) 2022 Leon Sorokin, MIT License: https://github.com/leeoniya/uPlot */",
  },
});
