import { createLocalStorage } from '@graphiql/toolkit';
import { GraphiQL } from 'graphiql';
import { createRoot } from 'react-dom/client';
import 'graphiql/style.css';
import './main.css';

// Rendered into the page by templates/graphiql.html.
const { endpoint, tabs } = JSON.parse(
  document.getElementById('graphiql-config').textContent,
);

async function fetcher(params, { headers } = {}) {
  const response = await fetch(endpoint, {
    method: 'POST',
    credentials: 'same-origin',
    headers: {
      Accept: 'application/graphql-response+json, application/json',
      'Content-Type': 'application/json',
      ...headers,
    },
    body: JSON.stringify(params),
  });
  const body = await response.text();
  try {
    return JSON.parse(body);
  } catch {
    throw new Error(`HTTP ${response.status}, not JSON: ${body.slice(0, 500)}`);
  }
}

// GraphiQL itself shows only the query of the first default tab, and on a reload
// it finds the active tab by the stored query and variables: seed them.
const storage = createLocalStorage({ namespace: 'commercia-graphiql' });
const firstVisit = !storage.getItem('graphiql:tabState');
if (firstVisit) {
  storage.setItem('graphiql:query', tabs[0].query);
  storage.setItem('graphiql:variables', tabs[0].variables ?? '');
}

createRoot(document.getElementById('graphiql')).render(
  <GraphiQL
    fetcher={fetcher}
    storage={storage}
    defaultTabs={tabs}
    headers={firstVisit ? tabs[0].headers : undefined}
    defaultEditorToolsVisibility
    schemaDescription
    shouldPersistHeaders={false}
  >
    <GraphiQL.Logo>Commercia</GraphiQL.Logo>
  </GraphiQL>,
);
