/*
 * Sends frames out of a network interface, as they are: `<device> <frame in hex>...`. What a root process with raw
 * sockets can do.
 */
import { nativeOs } from '../../../src/dataplane/native.js';

const [device = '', ...frames] = process.argv.slice(2);
for (const frame of frames) nativeOs().sendFrame(device, new Uint8Array(Buffer.from(frame, 'hex')));
