/** Reports as Python's email package reads them: a parser that shares nothing with ours. */
import { spawnSync } from 'node:child_process';

export interface ForeignPart {
  readonly type: string;
  readonly encoding: string;
  /** Decoded where the transfer encoding says so; UTF-8 or Latin-1. */
  readonly text: string;
  /** Of `message/delivery-status`: its blocks, each a list of fields. */
  readonly blocks?: readonly (readonly (readonly [string, string])[])[];
}

export interface ForeignReport {
  readonly headers: readonly (readonly [string, string])[];
  readonly type: string;
  readonly reportType: string | null;
  readonly defects: readonly string[];
  readonly parts: readonly ForeignPart[];
}

const SCRIPT = `
import sys, json, base64, email, email.policy
def text(part):
    payload = part.get_payload(decode=True)
    if payload is None:
        payload = b''.join(p.as_bytes() for p in part.get_payload())
    try: return payload.decode('utf-8')
    except UnicodeDecodeError: return payload.decode('latin-1')
def unfold(value):
    value = str(value).replace('\\r', '').replace('\\n', '')
    return value.encode('utf-8', 'surrogateescape').decode('utf-8', 'replace')
out = []
for raw in json.load(sys.stdin):
    m = email.message_from_bytes(base64.b64decode(raw), policy=email.policy.compat32)
    parts, defects = [], [type(d).__name__ for d in m.defects]
    for p in m.get_payload():
        defects += [type(d).__name__ for d in p.defects]
        one = {'type': p.get_content_type(), 'encoding': p.get('Content-Transfer-Encoding', '7bit'), 'text': text(p)}
        if p.get_content_type() in ('message/delivery-status', 'message/global-delivery-status'):
            one['blocks'] = [[[k, unfold(v)] for k, v in b.items()] for b in p.get_payload()]
        parts.append(one)
    out.append({'headers': [[k, unfold(v)] for k, v in m.items()], 'type': m.get_content_type(),
                'reportType': m.get_param('report-type'), 'defects': defects, 'parts': parts})
json.dump(out, sys.stdout)
`;

/** Why it cannot be asked, for a test to skip with; false if it can. */
export const noPython: string | false = spawnSync('python3', ['-c', 'import email']).status === 0 ? false : 'python3 is not installed';

export function readByPython(reports: readonly Buffer[]): readonly ForeignReport[] {
  const input = JSON.stringify(reports.map((report) => report.toString('base64')));
  const run = spawnSync('python3', ['-I', '-S', '-c', SCRIPT], { input, maxBuffer: 64 * 1024 * 1024 });
  if (run.status !== 0) throw new Error(`python3: ${run.stderr}`);
  return JSON.parse(run.stdout.toString()) as ForeignReport[];
}
