/** Python's email package as an independent reader: are two messages the same, but for their transfer encodings? */
import { execFileSync } from 'node:child_process';

const SCRIPT = `
import base64, email, json, sys
from email import policy

def parts(raw):
    message = email.message_from_bytes(raw, policy=policy.compat32)
    found = []
    for part in message.walk():
        headers = [(k.lower(), str(v)) for k, v in part.items() if k.lower() not in ('content-transfer-encoding', 'mime-version')]
        body = None if part.is_multipart() else base64.b64encode(part.get_payload(decode=True)).decode()
        around = None if not part.is_multipart() else [part.preamble, part.epilogue]
        found.append([part.get_content_type(), headers, body, around, len(part.defects)])
    return found

print(json.dumps([[parts(base64.b64decode(raw)) for raw in pair] for pair in json.load(sys.stdin)]))
`;

/** Structure, header fields, decoded bodies, preambles and epilogues of every part, for both of each pair. */
export function decoded(pairs: readonly (readonly [Buffer, Buffer])[]): readonly (readonly [unknown, unknown])[] {
  const input = JSON.stringify(pairs.map((pair) => pair.map((raw) => raw.toString('base64'))));
  return JSON.parse(execFileSync('python3', ['-c', SCRIPT], { input, encoding: 'utf8', maxBuffer: 1 << 28 }));
}
