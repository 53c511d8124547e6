/**
 * Tables for a terminal: aligned, as wide as the screen and no wider, one line a row (and lines below it
 * where a row brings some). Cells are made safe here, so callers hand in text as it came.
 */
import { fit, oneLine, width } from './visible.js';

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
  /** At least so wide, whatever stands in it: tables printed one after the other line up. */
  readonly least?: number;
  /** May be cut down to this many columns when the table does not fit; without it the column keeps its width. */
  readonly shrink?: number;
}

/** Wraps finished text in colour, or leaves it. Applied after everything that measures. */
export type Paint = (text: string) => string;

export interface Cell {
  readonly text: string;
  readonly paint?: Paint;
}

export interface Row {
  readonly cells: readonly (string | Cell)[];
  /** Lines under the row, cut at the edge of the screen, in this indentation. */
  readonly below?: readonly { readonly text: string; readonly indent: number; readonly paint?: Paint }[];
}

const GAP = '  ';

/** Takes columns away from the flexible ones, always from the widest, until the table fits or none can give. */
function shrink(widths: number[], columns: readonly Column[], room: number): void {
  let excess = widths.reduce((sum, each) => sum + each, 0) + GAP.length * (widths.length - 1) - room;
  while (excess > 0) {
    let widest = -1;
    for (let i = 0; i < widths.length; i++) {
      const least = columns[i]!.shrink;
      if (least !== undefined && widths[i]! > least && (widest < 0 || widths[i]! > widths[widest]!)) widest = i;
    }
    if (widest < 0) return;
    widths[widest]!--;
    excess--;
  }
}

/** The table's lines, without line ends. `room` is the width of the screen in columns. */
export function table(columns: readonly Column[], rows: readonly Row[], room: number, head: Paint = (text) => text): string[] {
  const texts = rows.map((row) => columns.map((_, i) => oneLine(textOf(row.cells[i]))));
  const widths = columns.map((column, i) =>
    texts.reduce((most, cells) => Math.max(most, width(cells[i]!)), Math.max(width(column.title), column.least ?? 0)),
  );
  shrink(widths, columns, room);
  const line = (cells: readonly string[], paints: (i: number) => Paint | undefined) => {
    const last = columns.length - 1;
    const parts = columns.map((column, i) => {
      const text = fit(cells[i]!, widths[i]!);
      const space = ' '.repeat(Math.max(widths[i]! - width(text), 0));
      const painted = paints(i)?.(text) ?? text;
      if (column.align === 'right') return space + painted;
      return i === last ? painted : painted + space;
    });
    return parts.join(GAP).trimEnd();
  };
  const out = [
    head(
      line(
        columns.map((column) => column.title),
        () => undefined,
      ),
    ),
  ];
  rows.forEach((row, r) => {
    out.push(line(texts[r]!, (i) => paintOf(row.cells[i])));
    for (const { text, indent, paint } of row.below ?? []) {
      const cut = fit(oneLine(text), room - indent);
      out.push(' '.repeat(indent) + (paint?.(cut) ?? cut));
    }
  });
  return out;
}

/** `name  value` lines, the values aligned. Long values are broken at spaces and go on under themselves. */
export function pairs(entries: readonly (readonly [name: string, value: string | Cell])[], room: number, indent = 0): string[] {
  const names = entries.reduce((most, [name]) => Math.max(most, width(oneLine(name))), 0);
  const left = indent + names + GAP.length;
  return entries.flatMap(([name, value]) => {
    const label = oneLine(name);
    const first = ' '.repeat(indent) + label + ' '.repeat(names - width(label)) + GAP;
    return wrap(oneLine(textOf(value)), Math.max(room - left, 20)).map((text, i) => {
      const painted = paintOf(value)?.(text) ?? text;
      return ((i === 0 ? first : ' '.repeat(left)) + painted).trimEnd();
    });
  });
}

/** Breaks at spaces so that no line is wider than `room`, unless a single word is. At least one line. */
export function wrap(text: string, room: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && width(line) + 1 + width(word) > room) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  lines.push(line);
  return lines;
}

function textOf(cell: string | Cell | undefined): string {
  return cell === undefined ? '' : typeof cell === 'string' ? cell : cell.text;
}

function paintOf(cell: string | Cell | undefined): Paint | undefined {
  return cell === undefined || typeof cell === 'string' ? undefined : cell.paint;
}
