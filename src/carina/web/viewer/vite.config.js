// One script of what the film page needs. Parts of Cornerstone3D and vtk.js that a film never reaches (other viewports,
// meshes, WebGPU, DICOM parsing, colour tables) are left out: they are four fifths of the libraries.
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const absent = here("parts/absent.js");
const UNREACHED = [
  /@kitware\/vtk\.js\/IO\//,
  /@kitware\/vtk\.js\/Rendering\/WebGPU\//,
  /@kitware\/vtk\.js\/Rendering\/WebXR\//,
  /@cornerstonejs\/metadata\/dist\/esm\/(displayset|safeFunctions)\//,
  /ColorTransferFunction\/ColorMaps(\.json)?\.js$/,
  /@cornerstonejs\/core\/dist\/esm\/constants\/cpuColormaps\.js$/,
];

const leaveOut = {
  name: "leave-out",
  enforce: "pre",
  async resolveId(source, importer, options) {
    if (source === "dcmjs") return here("parts/dcmjs.js");
    const found = await this.resolve(source, importer, { ...options, skipSelf: true });
    return found && UNREACHED.some((each) => each.test(found.id)) ? absent : found;
  },
};

// names of the packages inside, for their licences
const noteDown = {
  name: "note-down",
  generateBundle(_, bundle) {
    const names = Object.values(bundle).flatMap((chunk) => Object.entries(chunk.modules ?? {}))
      .filter(([, part]) => part.renderedLength > 0)
      .map(([id]) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(id)?.[1]);
    writeFileSync(here("node_modules/.viewer-packages"), [...new Set(names.filter(Boolean))].sort().join("\n"));
  },
};

export default {
  logLevel: "error",
  plugins: [leaveOut, noteDown],
  build: {
    outDir: "../static/viewer",
    emptyOutDir: false,
    target: "es2022",
    sourcemap: false,
    modulePreload: false,
    chunkSizeWarningLimit: 4000,
    rolldownOptions: {
      input: here("parts/main.js"),
      shimMissingExports: true,
      output: { entryFileNames: "viewer.js", codeSplitting: false },
    },
  },
};
