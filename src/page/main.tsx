import { render } from 'preact';
import { signIn } from './api.ts';
import { startClock } from './clock.ts';
import { Frame } from './frame.tsx';
import { followURL, takeToken } from './route.ts';

const given = takeToken();
followURL();
startClock();
const root = document.getElementById('page');
root?.replaceChildren();
if (root !== null) render(<Frame />, root);
void signIn(given);
