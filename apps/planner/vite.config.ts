import type { Plugin, UserConfig } from "vite";

/** The built page may load its own files and nothing else, so that what is entered cannot leave it. */
const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'";

function contentSecurityPolicy(): Plugin {
  const attrs = { "http-equiv": "Content-Security-Policy", content: CONTENT_SECURITY_POLICY };
  return {
    name: "content-security-policy",
    apply: "build",
    transformIndexHtml: () => [{ tag: "meta", attrs, injectTo: "head-prepend" }],
  };
}

const config: UserConfig = {
  // Relative, so that the page works from any folder of any server.
  base: "./",
  plugins: [contentSecurityPolicy()],
  build: { target: "es2023", modulePreload: { polyfill: false } },
};

export default config;
