// GraphiQL loads CodeMirror and its addons with some thirty dynamic imports;
// build.mjs points them all at this module, so that they end up in one chunk.
import 'codemirror/addon/comment/comment.js';
import 'codemirror/addon/dialog/dialog.js';
import 'codemirror/addon/edit/closebrackets.js';
import 'codemirror/addon/edit/matchbrackets.js';
import 'codemirror/addon/fold/brace-fold.js';
import 'codemirror/addon/fold/foldgutter.js';
import 'codemirror/addon/hint/show-hint.js';
import 'codemirror/addon/lint/lint.js';
import 'codemirror/addon/search/jump-to-line.js';
import 'codemirror/addon/search/search.js';
import 'codemirror/addon/search/searchcursor.js';
import 'codemirror/keymap/sublime.js';
import 'codemirror/mode/javascript/javascript.js';
import 'codemirror-graphql/esm/hint.js';
import 'codemirror-graphql/esm/info.js';
import 'codemirror-graphql/esm/jump.js';
import 'codemirror-graphql/esm/lint.js';
import 'codemirror-graphql/esm/mode.js';
import 'codemirror-graphql/esm/results/mode.js';
import 'codemirror-graphql/esm/utils/info-addon.js';
import 'codemirror-graphql/esm/variables/hint.js';
import 'codemirror-graphql/esm/variables/lint.js';
import 'codemirror-graphql/esm/variables/mode.js';

export { default } from 'codemirror';
