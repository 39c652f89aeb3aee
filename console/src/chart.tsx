/** Lines over time. */

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { PALETTE } from "./colours";
import { clock } from "./format";

interface Props {
  title: string;
  names: string[];
  /** Times in seconds, then one row for each name; null is a gap. */
  data: [number[], ...(number | null)[][]];
  format: (value: number) => string;
  range?: [number, number];
}

const HEIGHT = 190;

export function Chart({ title, names, data, format, range }: Props) {
  const element = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  useEffect(() => {
    const box = element.current;
    if (!box) return;
    const style = getComputedStyle(box);
    const [ink, line] = [style.getPropertyValue("--dim"), style.getPropertyValue("--line")];
    const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: "11px system-ui" };
    const made = new uPlot(
      {
        width: box.clientWidth,
        height: HEIGHT,
        cursor: { drag: { x: false, y: false } },
        scales: range ? { y: { range } } : { y: { range: (_, __, high) => [0, high > 0 ? high * 1.1 : 1] } },
        series: [
          { value: (_, value) => (value === null ? "–" : clock(value)) },
          ...names.map((label, place) => ({
            label,
            stroke: PALETTE[place % PALETTE.length]!,
            width: 1.6,
            spanGaps: true,
            points: { show: (_: uPlot, __: number, from: number, to: number) => to - from < 4 },
            value: (_: uPlot, value: number | null) => (value === null ? "–" : format(value)),
          })),
        ],
        axes: [{ ...axis, space: 90, size: 30, values: (_, times) => times.map((one) => clock(one)) }, { ...axis, size: 62, values: (_, values) => values.map(format) }],
      },
      data as uPlot.AlignedData,
      box,
    );
    plot.current = made;
    const watch = new ResizeObserver(() => made.setSize({ width: box.clientWidth, height: HEIGHT }));
    watch.observe(box);
    return () => {
      watch.disconnect();
      made.destroy();
    };
  }, [names.join("\n")]);
  useEffect(() => plot.current?.setData(data as uPlot.AlignedData), [data]);
  return (
    <section class="card chart" aria-label={title}>
      <h2>{title}</h2>
      <div ref={element} />
    </section>
  );
}
