// Licence texts of what is inside viewer.js, for the file beside it.
import { readFileSync, readdirSync } from "node:fs";

const MIT = (holder) => `MIT License

Copyright (c) ${holder}

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`;

for (const name of readFileSync("node_modules/.viewer-packages", "utf8").trim().split("\n")) {
  const folder = `node_modules/${name}`;
  const about = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
  const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
  let text = file ? readFileSync(`${folder}/${file}`, "utf8").trim() : "";
  if (!text) {
    if (!/\bMIT\b/.test(about.license)) throw new Error(`${name} has no licence text, and is ${about.license}`);
    text = MIT(`the authors of ${name}, https://www.npmjs.com/package/${name}`);
  }
  console.log(`${name} ${about.version}, ${about.license}\n\n${text}\n\n${"-".repeat(80)}\n`);
}
