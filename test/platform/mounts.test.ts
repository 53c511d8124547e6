import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fleeting, type Mounts, nearestFolder, parseMountInfo } from '../../src/platform/mounts.js';

const UID = '0f0e0d0c-0000-4000-8000-0123456789ab';
const line = (point: string, root: string, type: string) => `36 35 98:0 ${root} ${point} rw,relatime shared:1 - ${type} source rw`;
const here = (lines: readonly string[], inContainer = true): Mounts => ({ mounts: parseMountInfo(lines.join('\n')), inContainer });

test('a folder is judged by the mount that it lies on', () => {
  const anonymous = `/var/lib/docker/volumes/${'a1'.repeat(32)}/_data`;
  const pod = `/var/lib/kubelet/pods/${UID}/volumes`;
  const cri = `/var/lib/containerd/io.containerd.grpc.v1.cri/containers/${'ab'.repeat(32)}/volumes/x`;
  for (const [root, type, kind] of [
    ['/var/lib/docker/volumes/riata-spool/_data', 'ext4', undefined],
    [`${pod}/kubernetes.io~csi/pvc-1/mount`, 'ext4', undefined],
    ['/', 'ext4', undefined],
    [anonymous, 'ext4', 'anonymous'],
    [`${pod}/kubernetes.io~empty-dir/spool`, 'ext4', 'pod'],
    [cri, 'ext4', 'layer'],
    ['/', 'tmpfs', 'memory'],
  ] as const) {
    const mounts = here([line('/', '/', 'overlay'), line('/var/spool/riata', root, type)]);
    assert.equal(fleeting('/var/spool/riata', mounts)?.kind, kind, `${type} ${root}`);
    assert.equal(fleeting('/var/spool/riata/deeper', mounts)?.kind, kind);
    assert.equal(fleeting('/var/spool/riata2', mounts)?.kind, 'layer', 'a name that begins like it is another folder');
  }
});

test('the root of a container is its layer, whatever file system that is; the root of a machine is not', () => {
  assert.equal(fleeting('/srv', here([line('/', '/', 'overlay')], false))?.kind, 'layer');
  assert.equal(fleeting('/srv', here([line('/', '/', 'btrfs')], true))?.kind, 'layer');
  assert.equal(fleeting('/srv', here([line('/', '/', 'btrfs')], false)), undefined);
  assert.equal(fleeting('/srv', here([])), undefined, 'no Linux');
});

test('names with blanks are read, and of two mounts on one point the last one counts', () => {
  const mounts = here([line('/', '/', 'overlay'), line('/my\\040spool', '/', 'ext4'), line('/my\\040spool', '/', 'tmpfs'), 'rubbish']);
  assert.equal(fleeting('/my spool/x', mounts)?.kind, 'memory');
});

test('a folder that is not there yet is judged by the one that it will be made in', () => {
  assert.equal(
    nearestFolder('/a/b/c', (path) => path === '/a'),
    '/a',
  );
  assert.equal(
    nearestFolder('/a/b/c', () => false),
    '/',
  );
});
