/** Printable ASCII as a parameter of SMTP (RFC 3461 §4, xtext): all but `+` and `=` as it is, the rest in hexadecimal. Pure. */
const ASCII = /^[\x00-\x7f]*$/;
const PRINTABLE = /^[\x20-\x7e]+$/;
const XTEXT = /^(?:[!-*,-<>-~]|\+[0-9A-Fa-f]{2})+$/;

/** Empty where it cannot be told so. */
export function encodeXtext(text: string): string {
  if (!ASCII.test(text)) return '';
  return text.replace(/[^!-*,-<>-~]/g, (character) => `+${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}

/** Undefined for what is none, and for what stands for a control character or something beyond ASCII. */
export function decodeXtext(xtext: string): string | undefined {
  if (!XTEXT.test(xtext)) return undefined;
  const text = xtext.replace(/\+(..)/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
  return PRINTABLE.test(text) ? text : undefined;
}
