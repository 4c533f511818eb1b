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

  // x, y: CSS pixels of the pane that stay where they are; the middle where they are left out
  zoom(factor, x = this.glass.clientWidth / 2, y = this.glass.clientHeight / 2) {
    if (!this.live) return;
    const before = this.viewport.canvasToWorld([x, y]);
    const now = this.viewport.getZoom();
    this.viewport.setZoom(within(now * factor, SMALLEST_ZOOM, LARGEST_ZOOM));
    const [nowX, nowY] = this.viewport.worldToCanvas(before);
    this.pan(x - nowX, y - nowY);
  }

  pan(dx, dy) {
    if (!this.live) return;
    const [x, y] = this.viewport.getPan();
    this.viewport.setPan([x + dx, y + dy]);
    this.viewport.render();
  }

  turn(degrees) {
    if (!this.live) return;
    const { rotation = 0 } = this.viewport.getViewPresentation();
    this.viewport.setViewPresentation({ ...this.viewport.getViewPresentation(), rotation: (rotation + degrees + 360) % 360 });
    this.viewport.render();
    this.follow();
  }

  reset() {
    if (!this.live) return;
    this.viewport.setViewPresentation({ rotation: 0 });
    this.viewport.resetCamera();
    this.window = { centre: 0.5, width: 1, inverted: false };
    this.paint();
    this.follow();
  }

  // what another pane shows, as far as films of other sizes can show the same
  follows(other) {
    if (!this.live || !other.live) return;
    this.window = { ...other.window };
    this.viewport.setViewPresentation(other.viewport.getViewPresentation());
    this.paint();
    this.follow();
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

