// Films as pixels: 16 bits of grey from black to white, decoded, windowed as the file asks and put upright by the server.
import { cache, imageLoader, metaData } from "@cornerstonejs/core";

const SCHEME = "carina";
export const WHITE = 65535;

// all that a viewport asks about a film beside its pixels
metaData.addProvider((type, imageId) => {
  if (!String(imageId).startsWith(`${SCHEME}:`)) return undefined;
  if (type === "generalSeriesModule") return { modality: "DX" };
  if (type === "voiLutModule") return { windowCenter: [WHITE / 2], windowWidth: [WHITE] };
  return undefined;
}, 1);

const imageOf = (address) => `${SCHEME}:${address}`;

// told of the share that has come, in [0, 1]
async function bytesOf(answer, tell) {
  const total = Number(answer.headers.get("X-Bytes"));
  const reader = answer.body.getReader();
  const whole = new Uint8Array(total);
  let taken = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    whole.set(value, taken);
    taken += value.length;
    tell(taken / total);
  }
  if (taken !== total) throw new Error("The film came in part only; load the page again.");
  return whole.buffer;
}

// Puts the film behind an address into Cornerstone's cache, where a viewport finds it by its id.
export async function loadFilm(address, tell) {
  const imageId = imageOf(address);
  if (cache.getImageLoadObject(imageId)) return imageId;
  const answer = await fetch(address, { credentials: "same-origin", cache: "no-store" });
  if (!answer.ok) throw new Error(`The film cannot be had (${answer.status}); load the page again.`);
  const columns = Number(answer.headers.get("X-Columns"));
  const rows = Number(answer.headers.get("X-Rows"));
  const scalarData = new Uint16Array(await bytesOf(answer, tell));
  const image = imageLoader.createAndCacheLocalImage(imageId, {
    scalarData, targetBuffer: { type: "Uint16Array" }, dimensions: [columns, rows, 1], spacing: [1, 1, 1], origin: [0, 0, 0], direction: [1, 0, 0, 0, 1, 0],
  });
  Object.assign(image, { windowCenter: WHITE / 2, windowWidth: WHITE, minPixelValue: 0, maxPixelValue: WHITE });
  return imageId;
}

export const forgetFilm = (address) => {
  const imageId = imageOf(address);
  if (cache.getImageLoadObject(imageId)) cache.removeImageLoadObject(imageId);
};
