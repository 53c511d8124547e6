/** AUTH PLAIN and LOGIN, the server's side (RFC 4954): a question, or how it ended. */

export type Login =
  | { readonly kind: 'ask'; readonly reply: string; readonly take: (line: string) => Login }
  | { readonly kind: 'end'; readonly user: string | undefined; readonly reply: string };

/** `argument` is what follows `AUTH`. */
export function beginLogin(argument: string, users: Readonly<Record<string, string>>): Login {
  const [mechanism = '', initial] = argument.split(' ');
  const plain = (line: string): Login => {
    const [, name = '', password = ''] = decoded(line).split('\0');
    return end(users, name, password);
  };
  const named = (name: string): Login => ({
    kind: 'ask',
    reply: '334 UGFzc3dvcmQ6',
    take: (line) => end(users, decoded(name), decoded(line)),
  });
  switch (mechanism.toUpperCase()) {
    case 'PLAIN':
      return initial === undefined ? { kind: 'ask', reply: '334 ', take: plain } : plain(initial);
    case 'LOGIN':
      return initial === undefined ? { kind: 'ask', reply: '334 VXNlcm5hbWU6', take: named } : named(initial);
    default:
      return { kind: 'end', user: undefined, reply: '504 5.5.4 unknown mechanism' };
  }
}

function end(users: Readonly<Record<string, string>>, name: string, password: string): Login {
  if (Object.hasOwn(users, name) && users[name] === password) return { kind: 'end', user: name, reply: '235 2.7.0 welcome' };
  return { kind: 'end', user: undefined, reply: '535 5.7.8 wrong name or password' };
}

function decoded(text: string): string {
  return Buffer.from(text, 'base64').toString();
}
