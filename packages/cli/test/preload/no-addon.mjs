// As on a platform for which the native addon was not built.
process.dlopen = () => {
  throw new Error("not built for this platform");
};
