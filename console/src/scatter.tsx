/** Points on a canvas: hover tells, a click opens, the wheel and the buttons zoom, dragging and the arrow keys move. */

import { useEffect, useRef, useState } from "preact/hooks";
import { gist, idText, short } from "./format";

interface Shown {
  id: unknown;
  payload?: Record<string, unknown> | null;
}

interface Props {
  x: Float32Array;
  y: Float32Array;
  colours: string[];
  points: Shown[];
  by: string;
  onOpen: (place: number) => void;
}

interface View {
  scale: number;
  /** Of the plane, what is in the middle of the canvas. */
  cx: number;
  cy: number;
}

const NEAR = 10; // pixels from the pointer to the point that is meant
const ZOOM = 1.4;

export function Scatter({ x, y, colours, points, by, onOpen }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [size, setSize] = useState({ width: 0, height: 0 });
  const [view, setView] = useState<View | null>(null);
  const [over, setOver] = useState<{ place: number; left: number; top: number } | null>(null);
  const drag = useRef<{ left: number; top: number; moved: boolean } | null>(null);
  const whole = fit(x, y, size);
  const now = view ?? whole;
  const px = (place: number) => size.width / 2 + (x[place]! - now.cx) * now.scale;
  const py = (place: number) => size.height / 2 - (y[place]! - now.cy) * now.scale;

  useEffect(() => {
    const element = canvas.current;
    if (!element) return;
    const watch = new ResizeObserver(() => setSize({ width: element.clientWidth, height: element.clientHeight }));
    watch.observe(element);
    return () => watch.disconnect();
  }, []);
  useEffect(() => setView(null), [x]);
  useEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context || !size.width) return;
    const ratio = devicePixelRatio || 1;
    element.width = size.width * ratio;
    element.height = size.height * ratio;
    context.scale(ratio, ratio);
    const radius = Math.min(6, 2.4 * Math.sqrt(now.scale / whole.scale));
    context.globalAlpha = 0.8;
    for (let place = 0; place < x.length; place++) {
      context.fillStyle = colours[place]!;
      context.beginPath();
      context.arc(px(place), py(place), radius, 0, 2 * Math.PI);
      context.fill();
    }
    if (over) {
      context.globalAlpha = 1;
      context.strokeStyle = getComputedStyle(element).color;
      context.lineWidth = 2;
      context.beginPath();
      context.arc(px(over.place), py(over.place), radius + 3, 0, 2 * Math.PI);
      context.stroke();
    }
  });

  const zoom = (by: number, left = size.width / 2, top = size.height / 2) => {
    const scale = Math.min(Math.max(now.scale * by, whole.scale / 2), whole.scale * 200);
    const dx = left - size.width / 2;
    const dy = size.height / 2 - top;
    setView({ scale, cx: now.cx + dx / now.scale - dx / scale, cy: now.cy + dy / now.scale - dy / scale });
  };
  const nearest = (left: number, top: number): number | null => {
    let best: number | null = null;
    let least = NEAR * NEAR;
    for (let place = 0; place < x.length; place++) {
      const distance = (px(place) - left) ** 2 + (py(place) - top) ** 2;
      if (distance < least) [best, least] = [place, distance];
    }
    return best;
  };
  const move = (event: PointerEvent) => {
    const { offsetX: left, offsetY: top } = event;
    const held = drag.current;
    if (held) {
      if (Math.abs(left - held.left) + Math.abs(top - held.top) > 3) held.moved = true;
      if (held.moved) {
        setView({ scale: now.scale, cx: now.cx - (left - held.left) / now.scale, cy: now.cy + (top - held.top) / now.scale });
        Object.assign(held, { left, top });
        setOver(null);
        return;
      }
    }
    const place = nearest(left, top);
    setOver(place === null ? null : { place, left, top });
  };
  const key = (event: KeyboardEvent) => {
    const step = 40 / now.scale;
    const moves: Record<string, [number, number]> = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    const way = moves[event.key];
    if (way) setView({ ...now, cx: now.cx + way[0], cy: now.cy + way[1] });
    else if (event.key === "+" || event.key === "=") zoom(ZOOM);
    else if (event.key === "-") zoom(1 / ZOOM);
    else if (event.key === "0") setView(null);
    else return;
    event.preventDefault();
  };
  const shown = over ? points[over.place] : undefined;
  return (
    <div class="scatter">
      <canvas
        ref={canvas}
        tabIndex={0}
        role="img"
        aria-label={`${points.length} points, coloured by ${by}; arrow keys move, plus and minus zoom`}
        data-drawn={size.width ? points.length : 0}
        onWheel={(event) => { event.preventDefault(); zoom(event.deltaY < 0 ? ZOOM : 1 / ZOOM, event.offsetX, event.offsetY); }}
        onPointerDown={(event) => { drag.current = { left: event.offsetX, top: event.offsetY, moved: false }; event.currentTarget.setPointerCapture(event.pointerId); }}
        onPointerMove={move}
        onPointerUp={(event) => {
          const held = drag.current;
          drag.current = null;
          const place = held && !held.moved ? nearest(event.offsetX, event.offsetY) : null;
          if (place !== null) onOpen(place);
        }}
        onPointerLeave={() => { drag.current = null; setOver(null); }}
        onKeyDown={key}
      />
      <div class="zoom" role="group" aria-label="Zoom">
        <button type="button" aria-label="Zoom in" onClick={() => zoom(ZOOM)}>+</button>
        <button type="button" aria-label="Zoom out" onClick={() => zoom(1 / ZOOM)}>−</button>
        <button type="button" onClick={() => setView(null)}>All</button>
      </div>
      {over && shown && (
        <div class="tip" role="tooltip" style={{ left: `${Math.min(over.left + 14, size.width - 290)}px`, top: `${over.top > size.height - 120 ? over.top - 110 : over.top + 14}px` }}>
          <b>{idText(shown.id)}</b>
          <p>{short(gist(shown.payload), 200)}</p>
          <span class="pairs">
            {Object.entries(shown.payload ?? {}).filter(([, value]) => value !== gist(shown.payload) && value !== shown.id).slice(0, 6).map(([name, value]) => (
              <span key={name}>{name} <b>{short(value, 40)}</b></span>
            ))}
          </span>
        </div>
      )}
    </div>
  );
}

/** The view that shows everything. */
function fit(x: Float32Array, y: Float32Array, size: { width: number; height: number }): View {
  const [left, right] = ends(x);
  const [low, high] = ends(y);
  const scale = 0.92 * Math.min(size.width / (right - left || 1), size.height / (high - low || 1));
  return { scale: scale || 1, cx: (left + right) / 2, cy: (low + high) / 2 };
}

function ends(values: Float32Array): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const one of values) {
    if (one < low) low = one;
    if (one > high) high = one;
  }
  return [low, high];
}
