// One film: a Cornerstone3D viewport under a sheet of layers that follows it.
import { Enums } from "@cornerstonejs/core";
import { WHITE, forgetFilm, loadFilm } from "./pixels.js";

const LEAST_WIDTH = 0.01;
const SMALLEST_ZOOM = 0.3;
const LARGEST_ZOOM = 30;
const within = (value, least, most) => Math.min(most, Math.max(least, value));

export class Pane {
  constructor(element, engine) {
    this.element = element;
    this.engine = engine;
    this.sheet = element.querySelector(".sheet");
    this.glass = element.querySelector(".glass");
    this.note = element.querySelector(".coming");
    this.id = element.id;
    this.live = false;
    this.whole = true; // nobody has moved it since it was shown whole
    this.told = () => {};
    this.window = { centre: 0.5, width: 1, inverted: false };
  }

  // shows the film behind an address; what was shown before stays until it is there
  async show(address) {
    if (!this.viewport) {
      this.engine.enableElement({ viewportId: this.id, type: Enums.ViewportType.STACK, element: this.glass });
      this.viewport = this.engine.getViewport(this.id);
      this.glass.addEventListener(Enums.Events.CAMERA_MODIFIED, () => this.follow());
      this.glass.addEventListener(Enums.Events.IMAGE_RENDERED, () => this.drawn());
    }
    const before = this.address;
    this.address = address;
    const imageId = await loadFilm(address, (share) => { this.note.textContent = `Film comes: ${Math.round(100 * share)} %`; });
    if (this.address !== address) return;
    await this.viewport.setStack([imageId]);
    if (before && before !== address) forgetFilm(before);
    this.viewport.resetCamera();
    this.whole = true;
    this.window = { centre: 0.5, width: 1, inverted: false };
    this.live = true;
    this.note.textContent = "";
    this.paint();
    this.follow();
  }

  // the first drawn picture takes the place of the server's small one
  drawn() {
    if (!this.live || this.element.classList.contains("live")) return;
    this.element.classList.add("live");
    this.follow();
    performance.mark(`film-drawn-${this.id}`);
  }

  paint() {
    const { centre, width, inverted } = this.window;
    const voiRange = { lower: (centre - width / 2) * WHITE, upper: (centre + width / 2) * WHITE };
    this.viewport.setProperties({ voiRange, invert: inverted });
    this.viewport.render();
    this.told(this);
  }

  setWindow(change) {
    const { centre, width, inverted } = { ...this.window, ...change };
    this.window = { centre: within(centre, 0, 1), width: within(width, LEAST_WIDTH, 2), inverted };
    if (this.live) this.paint();
  }

  // columns, rows and, in film pixels, half of the height that shows the whole film
  size() {
    const [columns, rows] = this.viewport.getImageData().dimensions;
    const { clientWidth, clientHeight } = this.glass;
    return { columns, rows, whole: Math.max(rows, (columns * clientHeight) / clientWidth) / 2 };
  }

  zoomed() {
    return this.size().whole / this.viewport.getCamera().parallelScale;
  }

  // The camera alone is set: pan and zoom of viewports drawn without a graphics card are in units of their own.
  aim(focalPoint, parallelScale) {
    this.whole = false;
    const { position, focalPoint: before } = this.viewport.getCamera();
    const moved = position.map((each, axis) => each + focalPoint[axis] - before[axis]);
    this.viewport.setCamera({ focalPoint, position: moved, parallelScale });
    this.viewport.render();
    this.follow();
  }

  // x, y: CSS pixels of the pane that stay where they are; the middle where they are left out
  zoom(factor, x = this.glass.clientWidth / 2, y = this.glass.clientHeight / 2) {
    if (!this.live) return;
    const { focalPoint, parallelScale } = this.viewport.getCamera();
    const here = this.viewport.canvasToWorld([x, y]);
    const zoom = within(this.zoomed() * factor, SMALLEST_ZOOM, LARGEST_ZOOM);
    const scale = this.size().whole / zoom;
    const aimed = focalPoint.map((each, axis) => here[axis] + ((each - here[axis]) * scale) / parallelScale);
    this.aim(aimed, scale);
  }

  pan(dx, dy) {
    if (!this.live) return;
    const { focalPoint, parallelScale } = this.viewport.getCamera();
    const [from, to] = [this.viewport.canvasToWorld([0, 0]), this.viewport.canvasToWorld([dx, dy])];
    this.aim(focalPoint.map((each, axis) => each + from[axis] - to[axis]), parallelScale);
  }

  rotation() {
    return this.viewport.getViewPresentation().rotation ?? 0;
  }

  turn(degrees) {
    if (!this.live) return;
    this.whole = false;
    this.viewport.setViewPresentation({ rotation: (this.rotation() + degrees + 360) % 360 });
    this.viewport.render();
    this.follow();
  }

  reset() {
    if (!this.live) return;
    this.viewport.setViewPresentation({ rotation: 0 });
    this.viewport.resetCamera();
    this.whole = true;
    this.window = { centre: 0.5, width: 1, inverted: false };
    this.paint();
    this.follow();
  }

  // the pane has another size: a film that was shown whole still is
  resized() {
    if (!this.live) return;
    if (this.whole) {
      this.viewport.resetCamera();
      this.viewport.render();
    }
    this.follow();
  }

  // what another pane shows, in shares of its own film
  follows(other) {
    if (!this.live || !other.live) return;
    const [mine, theirs] = [this.size(), other.size()];
    const at = other.viewport.getCamera().focalPoint;
    this.window = { ...other.window };
    this.viewport.setViewPresentation({ rotation: other.rotation() });
    this.paint();
    this.aim(
      [(at[0] * mine.columns) / theirs.columns, (at[1] * mine.rows) / theirs.rows, at[2]],
      mine.whole / other.zoomed(),
    );
  }

  // lays the sheet over the film: the film's corners on the canvas give scale, turn and place
  follow() {
    if (!this.live || !this.sheet) return;
    const image = this.viewport.getImageData();
    if (!image) return;
    const [columns, rows] = image.dimensions;
    const at = (column, row) => this.viewport.worldToCanvas([column - 0.5, row - 0.5, 0]);
    const [origin, right, below] = [at(0, 0), at(columns, 0), at(0, rows)];
    const across = [(right[0] - origin[0]) / columns, (right[1] - origin[1]) / columns];
    const down = [(below[0] - origin[0]) / rows, (below[1] - origin[1]) / rows];
    this.sheet.style.width = `${columns}px`;
    this.sheet.style.height = `${rows}px`;
    this.sheet.style.transform = `matrix(${[...across, ...down, ...origin].join(",")})`;
    this.told(this);
  }
}

