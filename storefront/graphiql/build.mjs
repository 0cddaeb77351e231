// Bundles main.jsx into ../static/graphiql/, replacing what is there.
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const source = fileURLToPath(new URL('.', import.meta.url));
const target = fileURLToPath(new URL('../static/graphiql/', import.meta.url));
const maxBytes = 400_000;

// Entry points that exist only to move a library out of graphiql.js: what two
// entry points share becomes a chunk, and the entry point itself is discarded.
const vendors = {
  'vendor-react': 'react-dom/client',
  'vendor-markdown': 'markdown-it',
  'vendor-graphiql': '@graphiql/react',
};

const editorInOneChunk = {
  name: 'editor-in-one-chunk',
  setup({ onResolve }) {
    onResolve({ filter: /^codemirror/ }, ({ kind }) =>
      kind === 'dynamic-import' ? { path: join(source, 'editor.js') } : undefined,
    );
  },
};

const withoutFonts = {
  name: 'without-fonts',
  setup({ onLoad }) {
    onLoad({ filter: /\.css$/ }, async ({ path }) => ({
      contents: (await readFile(path, 'utf8')).replace(/@font-face\s*\{[^}]*\}/g, ''),
      loader: 'css',
    }));
  },
};

/** The name, version, licence and licence text of every bundled package. */
async function licences(inputs) {
  const roots = new Set(
    inputs.map((path) => path.match(/^.*node_modules\/(@[^/]+\/)?[^/]+/)?.[0]).filter(Boolean),
  );
  const byText = new Map();
  for (const root of [...roots].sort()) {
    const { name, version, license } = JSON.parse(
      await readFile(join(source, root, 'package.json'), 'utf8'),
    );
    const file = (await readdir(join(source, root))).find((f) => /^licen[cs]e/i.test(f));
    const text = file
      ? (await readFile(join(source, root, file), 'utf8')).replaceAll('\r\n', '\n').trim()
      : '(No licence file in the package: the standard text of the licence named applies.)';
    byText.set(text, [...(byText.get(text) ?? []), `${name} ${version} (${license})`]);
  }
  return [...byText]
    .map(([text, packages]) => `${packages.join('\n')}\n\n${text}\n`)
    .join(`\n${'-'.repeat(72)}\n\n`);
}

const { metafile, outputFiles } = await build({
  absWorkingDir: source,
  entryPoints: { graphiql: 'main.jsx', ...vendors },
  outdir: target,
  bundle: true,
  splitting: true,
  format: 'esm',
  target: 'es2022',
  jsx: 'automatic',
  define: { 'process.env.NODE_ENV': '"production"' },
  minify: true,
  legalComments: 'none', // LICENSES.txt has them all
  plugins: [editorInOneChunk, withoutFonts],
  metafile: true,
  write: false,
});

await rm(target, { recursive: true, force: true });
await mkdir(target, { recursive: true });
for (const { path, contents } of outputFiles) {
  const name = basename(path);
  if (name.startsWith('vendor-')) continue;
  if (contents.length >= maxBytes) throw new Error(`${name} has ${contents.length} bytes`);
  await writeFile(path, contents);
  console.log(`${String(contents.length).padStart(8)} ${name}`);
}
const bundled = Object.values(metafile.outputs).flatMap(({ inputs }) => Object.keys(inputs));
await writeFile(join(target, 'LICENSES.txt'), await licences(bundled));
