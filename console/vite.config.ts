import { defineConfig } from "vite";

// File names without hashes: the gateway answers with entity tags, and a build that changes nothing changes no file.
export default defineConfig({
  base: "/console/",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  resolve: {
    alias: { "vecstore-client": new URL("../clients/typescript/src/index.ts", import.meta.url).pathname },
  },
  build: {
    target: "es2022",
    outDir: "../vecstore/gateway/static",
    emptyOutDir: true,
    modulePreload: false,
    assetsInlineLimit: 0,
    rollupOptions: {
      output: { entryFileNames: "console.js", chunkFileNames: "[name].js", assetFileNames: "[name][extname]" },
    },
  },
  server: { proxy: { "/v1": "http://127.0.0.1:7333", "/metrics": "http://127.0.0.1:7333" } },
});
