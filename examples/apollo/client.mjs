// An Apollo client that knows who is logged in and stays so. npm install @apollo/client graphql rxjs
import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { from, of, switchMap } from 'rxjs';

const AUTH = gql`
  fragment Auth on AuthPayload {
    accessToken expiresIn refreshToken
    user { id name email emailVerified }
    merged { reason before guest after variant { id title product { title } } }
    userErrors { code message field ... on RateLimited { retryAfter } }
  }`;
const REGISTER = gql`
  mutation Register($input: RegisterInput!) { auth: register(input: $input) { ...Auth } } ${AUTH}`;
const LOGIN = gql`
  mutation Login($input: LoginInput!) { auth: login(input: $input) { ...Auth } } ${AUTH}`;
const RESET = gql`
  mutation Reset($input: ResetPasswordInput!) { auth: resetPassword(input: $input) { ...Auth } } ${AUTH}`;
const CHANGE = gql`
  mutation Change($input: ChangePasswordInput!) { auth: changePassword(input: $input) { ...Auth } } ${AUTH}`;
const REFRESH = gql`
  mutation Refresh($input: RefreshTokenInput) { auth: refreshToken(input: $input) { ...Auth } } ${AUTH}`;
const LOGOUT = gql`mutation Logout($input: LogoutInput) { logout(input: $input) { userErrors { code } } }`;

const SLACK = 30_000; // A token is renewed so many milliseconds before it ends.
const ENDED = { errors: [{ message: 'The session has ended.', extensions: { code: 'UNAUTHENTICATED' } }] };
const isUnauthenticated = ({ errors = [] }) => errors.some(({ extensions }) => extensions?.code === 'UNAUTHENTICATED');
const bearer = (session) => session && { authorization: `Bearer ${session.token}` };
const ignore = () => {};
const sha256 = async (text) => {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
};

// onUser(user, why) is called whenever another user is logged in than before: null is a guest; `why` is the error
// that ended the session, if one did. `storage` is for native apps, which keep the refresh token themselves. With
// `persisted`, operations are sent by their hash and queries by GET, so that a CDN can answer what is public.
export function createShop({ uri, fetch, onUser = ignore, storage, persisted = false }) {
  let session; // undefined: not known yet; null: a guest; else { token, renewAt, user }. The token is nowhere else.
  let turn; // The refresh or login that is under way. They take turns, and operations wait for them.
  let refreshing; // The one refresh that all who need it share.

  const authorization = new ApolloLink((operation, forward) => {
    if (operation.getContext().inTurn) return forward(operation); // It waits for nobody, and adds no token.
    const viewer = session?.user.id;
    const attempt = (retries) =>
      from(current()).pipe(
        switchMap((used) => {
          // Nobody's operation is sent in another's name: the session may have ended, or another tab changed it.
          if (viewer && viewer !== used?.user.id) return of(ENDED);
          operation.setContext(({ headers }) => ({ headers: { ...headers, ...bearer(used) } }));
          return forward(operation).pipe(
            switchMap((result) => {
              if (!used || !retries || !isUnauthenticated(result)) return of(result);
              used.renewAt = 0;
              return attempt(retries - 1);
            }),
          );
        }),
      );
    return attempt(1);
  });

  // The header tells the shop that no other site made the browser send this: by GET, cookies count only with it.
  const http = new HttpLink({ uri, fetch, credentials: 'include', headers: { 'apollo-require-preflight': 'true' } });
  const hashed = persisted ? [new PersistedQueryLink({ sha256, useGETForHashedQueries: true })] : [];
  const client = new ApolloClient({
    link: ApolloLink.from([authorization, ...hashed, http]),
    cache: new InMemoryCache(),
  });

  // The session, once it is known and good for a while.
  async function current() {
    const isStale = () => session === undefined || Date.now() >= session?.renewAt;
    while (turn || isStale()) await (refreshing ?? turn?.catch(ignore) ?? refresh());
    return session;
  }

  function refresh() {
    return (refreshing ??= inTurn(renew).finally(() => (refreshing = undefined)));
  }

  async function inTurn(change) {
    while (turn) await turn.catch(ignore);
    return (turn = change().finally(() => (turn = undefined)));
  }

  // Rejects when the shop cannot be reached: then nothing is known, and whoever was logged in still is.
  async function renew() {
    const before = session;
    const ask = async () => authenticate(REFRESH, storage && { refreshToken: (await storage.get()) ?? '' });
    const payload = await ask().catch(ask); // An answer that was lost on its way is given again, for 30 seconds.
    if (session === before) await become(payload); // Else a logout came first.
  }

  async function authenticate(mutation, input, headers) {
    // Not through the cache, where the token would stay.
    const options = { fetchPolicy: 'no-cache', context: { inTurn: true, headers } };
    return (await client.mutate({ mutation, variables: { input }, ...options })).data.auth;
  }

  async function become({ accessToken, expiresIn, refreshToken, user, userErrors } = {}) {
    await storage?.set(refreshToken ?? null);
    const before = session;
    const renewAt = Date.now() + Math.max(expiresIn * 1000 - SLACK, 1000);
    session = accessToken ? { token: accessToken, renewAt, user } : null;
    if (before !== undefined && before?.user.id === session?.user.id) return;
    onUser(session?.user ?? null, before ? userErrors?.[0] : undefined);
    // The other's data is forgotten at once, and what is on the page is fetched anew.
    if (before !== undefined) client.resetStore().catch(ignore);
  }

  async function enter(mutation, input, headers) {
    return inTurn(async () => {
      const payload = await authenticate(mutation, { ...input, deliver: storage ? 'PAYLOAD' : 'COOKIE' }, headers);
      if (payload.accessToken) await become(payload);
      const { user, merged, userErrors } = payload;
      return { user, merged, userErrors };
    });
  }

  async function logout({ everywhere = false } = {}) {
    const input = { everywhere, refreshToken: await storage?.get() };
    try {
      await client.mutate({ mutation: LOGOUT, variables: { input } });
    } catch (error) {
      if (session !== null) throw error; // Else it had ended already.
    }
    await become();
  }

  return {
    client,
    resume: () => refresh().then(() => session?.user ?? null), // On page load: who is logged in?
    register: (input) => enter(REGISTER, input), // { email, password, name }
    login: (input) => enter(LOGIN, input), // { email, password }
    resetPassword: (input) => enter(RESET, input), // { token, password }
    changePassword: async (input) => enter(CHANGE, input, bearer(await current())), // { current, password }
    logout, // { everywhere: true } on every device
  };
}
