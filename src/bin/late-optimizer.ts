import { setFlagsFromString } from 'node:v8';

/*
 * Has V8 optimise later: in a daemon's first minute that costs more than it saves (a sixth of its CPU time). Imported
 * first, since a function has its budget from when it is made.
 *
 * Not on the command line: node does not start with a flag that it does not know, and newer V8s name it otherwise.
 */
const [major = ''] = process.versions.v8.split('.');
if (Number(major) === 11) setFlagsFromString('--interrupt-budget=1000000');
