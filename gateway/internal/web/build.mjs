// Makes dist/ from Bootstrap Italia and the sources beside this file: only the
// rules, icons and fonts that the pages use. Each file's name has a digest of
// its content, so that browsers may keep it for good; manifest.json maps names.
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";
import { PurgeCSS } from "purgecss";
import rtlcss from "rtlcss";

const here = path.dirname(fileURLToPath(import.meta.url));
const kit = path.join(here, "node_modules/bootstrap-italia/dist");
const out = path.join(here, "dist");
const manifest = {};

async function emit(name, content) {
  const digest = createHash("sha256").update(content).digest("hex").slice(0, 12);
  const { name: stem, ext } = path.parse(name);
  const file = `${stem}-${digest}${ext}`;
  await writeFile(path.join(out, file), content);
  manifest[name] = file;
  return file;
}

// Everything that can name a class or an icon.
async function sources() {
  const root = path.join(here, "..");
  const found = [];
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    const ours = !file.includes("node_modules") && !file.startsWith(out);
    if (entry.isFile() && ours && (/\.html$/.test(file) || file.startsWith(path.join(here, "scripts")))) found.push(file);
  }
  return found.sort();
}

async function fonts() {
  const from = path.join(kit, "fonts/Titillium_Web");
  const faces = [];
  for (const [style, weight] of [["regular", "400"], ["600", "500 900"]]) {
    const font = await readFile(path.join(from, `titillium-web-v10-latin-ext_latin-${style}.woff2`));
    const file = await emit(`titillium-${style}.woff2`, font);
    faces.push(`@font-face{font-family:"Titillium Web";font-style:normal;font-weight:${weight};font-display:swap;src:url(${file}) format("woff2")}`);
  }
  return faces.join("\n");
}

// Pictures inside the style sheet become files: the content security policy
// admits nothing that is not served here.
async function externalise(css) {
  const pattern = /url\((["']?)data:image\/svg\+xml(;[^,]*)?,((?:(?!\1\)).)*)\1\)/g;
  let result = "";
  let last = 0;
  for (const match of css.matchAll(pattern)) {
    const coded = match[3];
    const svg = (match[2] ?? "").includes("base64") ? Buffer.from(coded, "base64") : coded.replace(/(%[0-9a-f]{2})+/gi, decodeURIComponent);
    const digest = createHash("sha256").update(svg).digest("hex").slice(0, 8);
    result += css.slice(last, match.index) + `url(${await emit(`form-${digest}.svg`, svg)})`;
    last = match.index + match[0].length;
  }
  return result + css.slice(last);
}

async function styles(content) {
  const purged = await new PurgeCSS().purge({
    content,
    css: [path.join(kit, "css/bootstrap-italia.min.css")],
    fontFace: true,
    keyframes: true,
    variables: true,
    safelist: { standard: ["show", "collapsed", "active", "disabled"] },
  });
  const own = await readFile(path.join(here, "styles/portal.css"), "utf8");
  const { code } = await esbuild.transform(await fonts() + purged[0].css.replace(/@font-face\{[^}]*\}/g, "") + own, {
    loader: "css",
    minify: true,
    legalComments: "none",
  });
  const css = await externalise(code);
  await emit("portal.css", css);
  await emit("portal.rtl.css", rtlcss.process(css));
}

async function scripts() {
  for (const entry of (await readdir(path.join(here, "scripts"))).filter((name) => name.endsWith(".js")).sort()) {
    const built = await esbuild.build({
      entryPoints: [path.join(here, "scripts", entry)],
      bundle: true,
      minify: true,
      format: "esm",
      target: "es2022",
      write: false,
    });
    await emit(entry, built.outputFiles[0].contents);
  }
}

async function icons(content) {
  const sprites = await readFile(path.join(kit, "svg/sprites.svg"), "utf8");
  const text = (await Promise.all(content.map((file) => readFile(file, "utf8")))).join("\n");
  const used = new Set([...text.matchAll(/\bicon "([a-z0-9-]+)"/g)].map((match) => match[1]));
  const symbols = [];
  for (const name of [...used].sort()) {
    const symbol = sprites.match(new RegExp(`<symbol id="it-${name}".*?</symbol>`, "s"));
    if (!symbol) throw new Error(`no icon is called ${name}`);
    symbols.push(symbol[0]);
  }
  await emit("icons.svg", `<svg xmlns="http://www.w3.org/2000/svg">${symbols.join("")}</svg>`);
}

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
await writeFile(path.join(out, ".gitignore"), "*\n!.gitignore\n");
const content = await sources();
await styles(content);
await scripts();
await icons(content);
await writeFile(path.join(out, "manifest.json"), JSON.stringify(manifest, null, 1) + "\n");
