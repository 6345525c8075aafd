import { BarChart, CustomChart, type CustomSeriesOption } from 'echarts/charts';
import { GridComponent, TitleComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import type { Report } from './report.js';
import type { Figure, Scenario } from './scenarios.js';
import { type Summary, summarize } from './statistics.js';

/*
 * The report as a picture: one panel a figure, one bar a system, the best first. A bar is the median of all readings,
 * the line across its end the smallest and the largest. Of the CPU time there is one panel, that of the first load.
 */

export interface Bar extends Pick<Summary, 'median' | 'min' | 'max'> {
  readonly name: string;
}

export interface Panel {
  readonly title: string;
  /** Nothing in it is a judgement: the machine did not hold still. */
  readonly isUnfit: boolean;
  readonly bars: readonly Bar[];
}

/** The name under which ours appears. */
const OURS = 'overlayd';

/** Time: the less the better. */
const LESS_IS_BETTER = ['ms', 's/GB'];
const CPU_UNIT = 's/GB';

/** One for each figure that was compared, in the order of the scenarios. */
export function panelsOf(report: Report, scenarios: readonly Scenario[]): readonly Panel[] {
  const cpu = scenarios.flatMap(({ figures }) => figures).find(({ unit }) => unit === CPU_UNIT);
  return scenarios.flatMap((scenario) => {
    const isUnfit = report.fitness.some((one) => one.scenario === scenario.name && !one.isFit);
    return scenario.figures.flatMap((figure) => {
      const bars = barsOf(report, figure);
      if (bars.length < 2 || figure.isCharted === false) return [];
      if (figure.unit === CPU_UNIT && figure !== cpu) return [];
      const sense = LESS_IS_BETTER.includes(figure.unit) ? ', less is better' : '';
      return {
        title: `${figure.chartTitle ?? figure.title} (${figure.unit}${sense})`,
        isUnfit,
        bars,
      };
    });
  });
}

function barsOf(report: Report, figure: Figure): Bar[] {
  const rows = report.comparisons.filter((row) => row.figure === figure.name);
  const ours = summarize(rows.flatMap((row) => row.ours.samples));
  const bars = rows.map(({ peer, theirs }) => ({ name: peer, ...theirs }));
  const all = rows.length === 0 ? [] : [{ name: OURS, ...ours }, ...bars];
  return all
    .map(({ name, median, min, max }) => ({ name, median, min, max }))
    .sort((a, b) => (b.median - a.median) * (LESS_IS_BETTER.includes(figure.unit) ? -1 : 1));
}

const WIDTH = 1200;
const COLUMNS = 2;
const HEADER = 56;
const PANEL_TITLE = 34;
const BAR = 22;
const GAP = 26;
const LABELS = 190;
const VALUES = 70;
const COLOURS = { ours: '#0b6e4f', other: '#9aa5b1', text: '#1f2933', muted: '#52606d' };

use([BarChart, CustomChart, GridComponent, TitleComponent, SVGRenderer]);

/** An SVG document. */
export function chart(panels: readonly Panel[], caption: string): string {
  const rows: Panel[][] = [];
  for (let at = 0; at < panels.length; at += COLUMNS) rows.push(panels.slice(at, at + COLUMNS));
  const heights = rows.map(
    (row) => PANEL_TITLE + GAP + BAR * Math.max(...row.map(({ bars }) => bars.length)),
  );
  const height = HEADER + heights.reduce((sum, one) => sum + one, 0);
  const places = rows.flatMap((row, at) =>
    row.map((panel, column) => ({
      panel,
      left: (column * WIDTH) / COLUMNS,
      top: HEADER + heights.slice(0, at).reduce((sum, one) => sum + one, 0),
    })),
  );
  const image = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
  image.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    title: [
      {
        text: 'overlayd beside other overlays, two hosts on one machine',
        subtext: caption,
        left: 16,
        top: 8,
        itemGap: 6,
        textStyle: { fontSize: 16, color: COLOURS.text },
        subtextStyle: { fontSize: 11, color: COLOURS.muted },
      },
      ...places.map(({ panel, left, top }) => ({
        text: panel.title + (panel.isUnfit ? ', UNFIT' : ''),
        left: left + 16,
        top: top + 8,
        textStyle: { fontSize: 12, color: COLOURS.text },
      })),
    ],
    grid: places.map(({ panel, left, top }) => ({
      left: left + LABELS,
      top: top + PANEL_TITLE,
      width: WIDTH / COLUMNS - LABELS - VALUES,
      height: BAR * panel.bars.length,
    })),
    xAxis: places.map(({ panel }, gridIndex) => ({
      gridIndex,
      type: 'value' as const,
      min: 0,
      max: Math.max(...panel.bars.map(({ max }) => max)),
      show: false,
    })),
    yAxis: places.map(({ panel }, gridIndex) => ({
      gridIndex,
      type: 'category' as const,
      inverse: true,
      data: panel.bars.map(({ name }) => name),
      axisTick: { show: false },
      axisLine: { lineStyle: { color: COLOURS.muted } },
      axisLabel: { fontSize: 11, color: COLOURS.text, interval: 0 },
    })),
    series: places.flatMap(({ panel }, at) => [
      {
        type: 'bar' as const,
        xAxisIndex: at,
        yAxisIndex: at,
        barWidth: BAR - 8,
        data: panel.bars.map(({ name, median }) => ({
          value: median,
          itemStyle: { color: name === OURS ? COLOURS.ours : COLOURS.other },
        })),
      },
      spans(panel.bars, at),
    ]),
  });
  const svg = image.renderToSVGString();
  image.dispose();
  return svg;
}

/** The line from the smallest to the largest, and the median in figures behind it. */
function spans(bars: readonly Bar[], at: number): CustomSeriesOption {
  return {
    type: 'custom',
    xAxisIndex: at,
    yAxisIndex: at,
    silent: true,
    z: 3,
    data: bars.map(({ median, min, max }, row) => [min, row, max, median]),
    renderItem: (_params, api) => {
      const [left = 0, y = 0] = api.coord([api.value(0), api.value(1)]);
      const [right = 0] = api.coord([api.value(2), api.value(1)]);
      const line = (x1: number, y1: number, x2: number, y2: number) => ({
        type: 'line' as const,
        shape: { x1, y1, x2, y2 },
        style: { stroke: COLOURS.text, lineWidth: 1 },
      });
      const text = Number(api.value(3)).toPrecision(3);
      return {
        type: 'group',
        children: [
          line(left, y, right, y),
          line(left, y - 3, left, y + 3),
          line(right, y - 3, right, y + 3),
          {
            type: 'text' as const,
            style: { text, x: right + 6, y: y - 5, fontSize: 11, fill: COLOURS.text },
          },
        ],
      };
    },
  };
}
