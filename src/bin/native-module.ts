import { OverlayError } from '../base/errors.js';
import type { OsModule } from '../daemon/os-port.js';
import type { DataPlane } from '../dataplane/dataplane.js';

/** What dataplane/native.ts exports. Loaded at run time, so that a missing addon is an error that names its cure. */
export interface NativeModule {
  createNativeDataPlane(): DataPlane;
  nativeOs(): OsModule;
}

/** @throws OverlayError OVL_ADDON_MISSING when the addon is not built or does not fit this machine */
export async function loadNativeModule(): Promise<NativeModule> {
  try {
    const path = new URL('../dataplane/native.js', import.meta.url).href;
    return (await import(path)) as NativeModule;
  } catch (cause) {
    if (cause instanceof OverlayError) throw cause;
    const why = cause instanceof Error ? cause.message.split('\n', 1)[0] : String(cause);
    throw new OverlayError('OVL_ADDON_MISSING', `Cannot load the native data plane: ${why ?? ''}`, {
      cure: 'Build it for this machine and this node: scripts/setup.sh',
      cause,
    });
  }
}
