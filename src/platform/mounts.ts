/**
 * What a folder lies on, as Linux tells it (/proc/self/mountinfo), judged by how long it lasts. A queue is worth as much as its disk:
 * in a container that may be a layer that goes with the container, or memory.
 *
 * Pure but for `mountsHere`. Where the system tells nothing (no Linux), nothing is known and all is well.
 */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

export interface Mount {
  /** Where it is mounted. */
  readonly point: string;
  /** What of its file system is mounted there: for volumes, the folder on the machine. */
  readonly root: string;
  /** `ext4`, `overlay`, `tmpfs` … */
  readonly type: string;
}

/** What does not last, and in what words. */
export interface Fleeting {
  /** `layer`: the container's own. */
  readonly kind: 'layer' | 'memory' | 'pod' | 'anonymous';
  readonly text: string;
}

export interface Mounts {
  readonly mounts: readonly Mount[];
  readonly inContainer: boolean;
}

const OCTAL = /\\([0-7]{3})/g;

/** proc_pid_mountinfo(5): `36 35 98:0 /root /point options … - type source options`. */
export function parseMountInfo(text: string): Mount[] {
  const mounts: Mount[] = [];
  for (const line of text.split('\n')) {
    const [before = '', after = ''] = line.split(' - ', 2);
    const [, , , root, point] = before
      .split(' ')
      .map((field) => field.replace(OCTAL, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8))));
    const [type = ''] = after.split(' ', 1);
    if (root !== undefined && point !== undefined && type !== '') mounts.push({ point, root, type });
  }
  return mounts;
}

/** Undefined where the folder (absolute, without links) lies on something that lasts, for all that is known. */
export function fleeting(folder: string, { mounts, inContainer }: Mounts): Fleeting | undefined {
  let found: Mount | undefined;
  // Of mounts on one point the last one is seen.
  for (const mount of mounts) {
    const holds = mount.point === '/' || folder === mount.point || folder.startsWith(`${mount.point}/`);
    if (holds && mount.point.length >= (found?.point.length ?? 0)) found = mount;
  }
  if (found === undefined) return undefined;
  const { point, root, type } = found;
  if (type === 'tmpfs' || type === 'ramfs') return { kind: 'memory', text: 'memory: it is gone when the machine or the pod ends' };
  if (root.includes('/kubernetes.io~empty-dir/')) return { kind: 'pod', text: 'an emptyDir: it is gone with its pod' };
  const layer = point === '/' && (type === 'overlay' || type === 'aufs' || inContainer);
  // What Kubernetes makes of VOLUME in an image.
  if (layer || /\/io\.containerd\.grpc\.v1\.cri\/containers\//.test(root))
    return { kind: 'layer', text: "the container's own layer: it is gone with the container" };
  if (/\/volumes\/[0-9a-f]{64}\/_data$/.test(root))
    return { kind: 'anonymous', text: 'a volume without a name: it is not found again by the next container, and removed with --rm' };
  return undefined;
}

/** The system's own; nothing known where there is none such. */
export function mountsHere(env: Readonly<Record<string, string | undefined>>): Mounts {
  let text = '';
  try {
    text = readFileSync('/proc/self/mountinfo', 'utf8');
  } catch {
    // Not Linux.
  }
  const marks = ['/.dockerenv', '/run/.containerenv'].some((mark) => existsSync(mark));
  return { mounts: parseMountInfo(text), inContainer: marks || env['KUBERNETES_SERVICE_HOST'] !== undefined };
}

/** The folder itself, or the nearest one above it that exists. */
export function nearestFolder(folder: string, exists: (path: string) => boolean = existsSync): string {
  let at = path.resolve(folder);
  while (!exists(at) && path.dirname(at) !== at) at = path.dirname(at);
  return at;
}
