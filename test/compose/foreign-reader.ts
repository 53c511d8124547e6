/** Messages as Python's email package reads them: a parser that shares nothing with the composer. */
import { spawnSync } from 'node:child_process';

export interface ForeignEntity {
  readonly type: string;
  /** Every header as it is read: decoded, unfolded. */
  readonly headers: readonly (readonly [string, string])[];
  readonly charset: string | null;
  readonly encoding: string;
  readonly disposition: string | null;
  readonly filename: string | null;
  readonly cid: string | null;
  readonly defects: readonly string[];
  /** Decoded octets, in base64; null for what holds others. */
  readonly body: string | null;
  /** The text in its character set, line ends as they are; null for what is no text. */
  readonly text: string | null;
  readonly parts: readonly ForeignEntity[];
  /** Of address fields: their mailboxes. */
  readonly mailboxes: Readonly<Record<string, readonly { readonly name: string; readonly address: string }[]>>;
  /** Parameters of the Content-Type. */
  readonly parameters: Readonly<Record<string, string>>;
}

const SCRIPT = `
import sys, json, base64, email, email.policy, email.utils, email.header
policy = email.policy.default.clone(utf8=True)
ADDRESSES = ('from', 'to', 'cc', 'bcc', 'sender', 'reply-to')
CODECS = {'shift_jis': 'cp932', 'euc-kr': 'cp949', 'big5': 'big5hkscs', 'gb2312': 'gbk', 'windows-874': 'cp874'}
def name_of(text):
    # The newer reader puts blanks between encoded words within a name.
    return str(email.header.make_header(email.header.decode_header(text)))
def entity(part):
    raw = {k.lower(): v.encode('utf8', 'surrogateescape').decode('utf8', 'replace').replace('\\r', '').replace('\\n', '') for k, v in part.raw_items()}
    multi = part.is_multipart()
    body = None if multi else part.get_payload(decode=True)
    charset = part.get_content_charset()
    text = None
    if body is not None and part.get_content_maintype() == 'text':
        try: text = body.decode(CODECS.get(charset, charset) or 'ascii')
        except (LookupError, UnicodeDecodeError) as error: text = 'undecodable: %s' % error
    defects = [type(d).__name__ for d in part.defects]
    mailboxes = {}
    for name, value in part.items():
        defects += [name + ': ' + type(d).__name__ for d in getattr(value, 'defects', [])]
        if name.lower() in ADDRESSES:
            found = [{'name': name_of(n), 'address': a} for n, a in email.utils.getaddresses([raw[name.lower()]])]
            if [a.addr_spec for a in value.addresses] != [f['address'] for f in found]: defects.append(name + ': ' + 'TwoReadings')
            mailboxes[name.lower()] = mailboxes.get(name.lower(), []) + found
    ct = part['content-type']
    return {'type': part.get_content_type(), 'headers': [[k, str(v)] for k, v in part.items()], 'charset': charset,
        'encoding': str(part.get('content-transfer-encoding', '7bit')), 'disposition': part.get_content_disposition(),
        'filename': part.get_filename(), 'cid': part.get('content-id'), 'defects': defects,
        'body': None if body is None else base64.b64encode(body).decode(), 'text': text,
        'parts': [entity(p) for p in part.get_payload()] if multi else [], 'mailboxes': mailboxes,
        'parameters': dict(ct.params) if ct is not None and hasattr(ct, 'params') else {}}
out = [entity(email.message_from_bytes(base64.b64decode(raw), policy=policy)) for raw in json.load(sys.stdin)]
sys.stdout.write(json.dumps(out))
`;

/** Why it cannot be asked, for a test to skip with; false if it can. */
export const noPython: string | false = spawnSync('python3', ['-c', 'import email']).status === 0 ? false : 'python3 is not installed';

/** Many at once: starting Python takes longer than reading a hundred messages. */
export function readByPython(messages: readonly Buffer[]): readonly ForeignEntity[] {
  const input = JSON.stringify(messages.map((message) => message.toString('base64')));
  const run = spawnSync('python3', ['-I', '-S', '-c', SCRIPT], { input, maxBuffer: 1 << 28 });
  if (run.status !== 0) throw new Error(`python3: ${run.stderr}`);
  return JSON.parse(run.stdout.toString()) as ForeignEntity[];
}

export function header(entity: ForeignEntity, name: string): string | undefined {
  return entity.headers.find(([one]) => one.toLowerCase() === name.toLowerCase())?.[1];
}

/** `multipart/mixed(multipart/alternative(text/plain, text/html), image/png)`. */
export function shape(entity: ForeignEntity): string {
  return entity.parts.length === 0 ? entity.type : `${entity.type}(${entity.parts.map(shape).join(', ')})`;
}

/** Every defect, of the message and all its parts. */
export function defects(entity: ForeignEntity): string[] {
  return [...entity.defects, ...entity.parts.flatMap(defects)];
}
