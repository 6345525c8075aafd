import { readFileSync } from 'node:fs';

/** Version of this installation, from the nearest package.json above the compiled file. */
export function productVersion(): string {
  for (const up of ['../../', '../../../']) {
    try {
      const text = readFileSync(new URL(`${up}package.json`, import.meta.url), 'utf8');
      const manifest: unknown = JSON.parse(text);
      if (isManifest(manifest) && manifest.name === 'overlayd') return manifest.version;
    } catch {
      // Not there: dist/ adds one level to the path.
    }
  }
  return 'unknown';
}

function isManifest(value: unknown): value is { name: string; version: string } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'name' in value &&
    'version' in value &&
    typeof value.version === 'string'
  );
}
