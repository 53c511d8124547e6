/**
 * Server-sent events (HTML Living Standard, §9.2): events of the feed as a stream that never ends by itself.
 *
 * Promises: a comment at least every 15 seconds, so that whatever lies between knows that it lives; a reader who takes nothing for half a
 * minute is dropped, and goes on later from the id of the last event that it has seen.
 */
import type http from 'node:http';
import type { MailEvent } from '../core/event.js';
import type { Told } from './feed.js';

export const SSE_TYPE = 'text/event-stream';
const BEAT_MS = 15_000;
const STALL_MS = 30_000;
/** Browsers come back after this. */
const RETRY_MS = 2_000;

/** Resolves when the reader has gone, or the events have ended. */
export async function writeEvents(response: http.ServerResponse, events: AsyncIterable<Told>): Promise<void> {
  response.writeHead(200, { 'content-type': SSE_TYPE, 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
  if (response.req.method === 'HEAD') {
    response.end();
    return;
  }
  response.write(`retry: ${RETRY_MS}\n\n`);
  const beat = setInterval(() => {
    if (!response.writableNeedDrain) response.write(':\n\n');
  }, BEAT_MS);
  beat.unref();
  try {
    for await (const { event, cursor } of events) {
      const { type, ...fields } = event;
      if (response.write(`id: ${cursor}\nevent: ${type}\ndata: ${JSON.stringify(fields)}\n\n`)) continue;
      if (!(await drained(response))) {
        response.destroy();
        return;
      }
    }
    response.end();
  } finally {
    clearInterval(beat);
  }
}

/** False: it takes too long, or the reader has gone. */
function drained(response: http.ServerResponse): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (so: boolean) => {
      clearTimeout(timer);
      response.removeListener('drain', onDrain);
      response.removeListener('close', onClose);
      resolve(so);
    };
    const onDrain = () => end(true);
    const onClose = () => end(false);
    const timer = setTimeout(onClose, STALL_MS);
    response.on('drain', onDrain);
    response.on('close', onClose);
  });
}

/** Reads what `writeEvents` writes. Ends where the stream does. */
export async function* readEvents(chunks: AsyncIterable<Buffer>): AsyncGenerator<Told> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    rest += decoder.decode(chunk, { stream: true });
    for (let end = rest.indexOf('\n\n'); end >= 0; end = rest.indexOf('\n\n')) {
      const told = readBlock(rest.slice(0, end));
      rest = rest.slice(end + 2);
      if (told !== undefined) yield told;
    }
  }
}

function readBlock(block: string): Told | undefined {
  const fields = new Map(
    block.split('\n').map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1).trimStart()] as const;
    }),
  );
  const data = fields.get('data');
  if (data === undefined) return undefined;
  return { event: { type: fields.get('event'), ...JSON.parse(data) } as MailEvent, cursor: Number(fields.get('id')) };
}
