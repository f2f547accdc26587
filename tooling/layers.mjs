/** Who may import whom. An import goes down only. */
export const MAY_IMPORT = {
  config: [],
  "vram-tracker": [],
  paging: [],
  native: [],
  "device-memory": ["native", "vram-tracker"],
  kernels: ["native", "device-memory", "config"],
  cache: ["config", "paging", "vram-tracker", "device-memory", "kernels"],
  cli: ["config", "vram-tracker", "paging", "device-memory", "kernels", "cache"],
};
