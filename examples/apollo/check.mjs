// Plays a customer's story with client.mjs against the shop given, whose mails are files in the folder given:
// node check.mjs http://127.0.0.1:8123/graphql/ mails/
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CombinedGraphQLErrors, gql } from '@apollo/client';
import fetchCookie from 'fetch-cookie';
import { CookieJar } from 'tough-cookie';
import { createShop } from './client.mjs';
import { createNativeShop } from './native.mjs';

const [uri, mails] = process.argv.slice(2);
const email = 'ada@example.com';
let password = 'lamp-otter-quarry';

const WHO = gql`query Who { me { id name email cart { totalQuantity } } cart { totalQuantity } }`;
const SESSIONS = gql`query Sessions { me { sessions { id current } } }`;
const MUG = gql`query Mug { product(slug: "mug") { variants { id } } }`;
const ADD = gql`mutation Add($input: AddToCartInput!) { addToCart(input: $input) { cart { totalQuantity } } }`;
const RENAME = gql`mutation Rename($input: UpdateProfileInput!) { updateProfile(input: $input) { user { name } } }`;
const FORGOT = gql`
  mutation Forgot($input: RequestPasswordResetInput!) { requestPasswordReset(input: $input) { userErrors { code } } }`;
const VERIFY = gql`
  mutation Verify($input: VerifyEmailInput!) { verifyEmail(input: $input) { userErrors { code } } }`;
const DELETE = gql`
  mutation Delete($input: DeleteAccountInput!) { deleteAccount(input: $input) { userErrors { code } } }`;

// ── the stand-ins ────────────────────────────────────────────────────────────────────────────────────

// A tab of a browser whose cookies are in `jar`. `net` shows what it has sent, and may be made to fail.
function openTab(jar = new CookieJar(), options = {}, create = createShop) {
  const net = { sent: [], users: [], before: () => {}, after: () => {} };
  const send = jar ? fetchCookie(fetch, jar) : fetch;
  const shop = create({
    uri,
    onUser: (user, why) => net.users.push(why?.code ?? user?.name ?? null),
    fetch: async (address, request) => {
      const asked = request.body ? JSON.parse(request.body) : Object.fromEntries(new URL(address).searchParams);
      const { operationName: name, variables } = asked;
      const sent = { name, variables, token: request.headers.authorization, method: request.method };
      net.sent.push(sent);
      await net.before(sent, request);
      const response = await send(address, request);
      await net.after(sent, response);
      return response;
    },
    ...options,
  });
  // Deduplication would hide how many there are; the cache, whether the shop was asked.
  const query = async (document) => {
    const options = { fetchPolicy: 'network-only', context: { queryDeduplication: false } };
    return (await shop.client.query({ query: document, ...options })).data;
  };
  const mutate = async (mutation, input) => (await shop.client.mutate({ mutation, variables: { input } })).data;
  const count = (name) => net.sent.filter((sent) => sent.name === name).length;
  const addMugs = async (quantity) => {
    const [{ id }] = (await query(MUG)).product.variants;
    return (await mutate(ADD, { lines: [{ variantId: id, quantity }] })).addToCart.cart.totalQuantity;
  };
  const tab = { ...shop, jar, net, query, mutate, count, addMugs, who: () => query(WHO) };
  return tab;
}

// The clients' clock, which the shop's does not follow.
function later(minutes) {
  const now = Date.now;
  Date.now = () => now() + minutes * 60_000;
}

async function until(condition) {
  for (let tries = 0; tries < 100 && !condition(); tries += 1) await sleep(50);
}

// The token of the newest mail with that subject, which goes out a moment after its cause.
async function mailedToken(subject) {
  for (let tries = 0; tries < 200; tries += 1) {
    const files = (await readdir(mails).catch(() => [])).sort().reverse();
    const texts = await Promise.all(files.map((file) => readFile(join(mails, file), 'utf8')));
    const token = texts.find((text) => text.includes(`Subject: ${subject}`))?.match(/token=(\S+)/);
    if (token) return token[1];
    await sleep(50);
  }
  throw new Error(`No mail came: ${subject}`);
}

const unauthenticated = (error) =>
  CombinedGraphQLErrors.is(error) && error.errors[0].extensions.code === 'UNAUTHENTICATED';
const offline = () => {
  throw new TypeError('fetch failed');
};

let steps = 0;
async function step(sentence, play) {
  await play();
  console.log(`${(steps += 1)}. ${sentence}`);
}

// ── the story ────────────────────────────────────────────────────────────────────────────────────────

const laptop = openTab();
const phone = openTab();

await step('A guest is known as one after one refresh that is refused, and fills a cart', async () => {
  assert.equal(await laptop.resume(), null);
  assert.equal(await laptop.addMugs(2), 2);
  assert.deepEqual(await laptop.who(), { me: null, cart: { __typename: 'Cart', totalQuantity: 2 } });
  assert.equal(laptop.count('Refresh'), 1);
  assert.deepEqual(laptop.net.users, [null]);
  assert.ok(laptop.net.sent.every(({ token }) => !token));
});

await step('What is wrong with a registration is said, and changes nothing', async () => {
  const { user, userErrors } = await laptop.register({ email, password: 'short', name: 'Ada' });
  assert.equal(user, null);
  assert.deepEqual([userErrors[0].code, userErrors[0].field], ['INVALID', ['password']]);
});

await step('Registering logs in at once and brings the cart along; the page is fetched again', async () => {
  const page = laptop.client.watchQuery({ query: WHO });
  const shown = [];
  const subscription = page.subscribe(({ data }) => data && shown.push(data.me?.name));
  await until(() => shown.length === 1);
  const { user, merged, userErrors } = await laptop.register({ email, password, name: 'Ada' });
  assert.deepEqual(userErrors, []);
  assert.deepEqual([user.name, user.emailVerified], ['Ada', false]);
  assert.deepEqual([merged[0].reason, merged[0].before, merged[0].guest, merged[0].after], ['ADDED', 0, 2, 2]);
  const { me } = await laptop.who();
  assert.deepEqual([me.email, me.cart.totalQuantity], [email, 2]);
  await until(() => shown.length === 2);
  assert.deepEqual(shown, [undefined, 'Ada']);
  assert.deepEqual(laptop.net.users, [null, 'Ada']);
  subscription.unsubscribe();
});

await step('No script can read the refresh token; the access token is in no storage and in no cache', async () => {
  const cookie = (await laptop.jar.getCookies(uri)).find(({ key }) => key === 'refresh');
  assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, 'lax']);
  const token = laptop.net.sent.at(-1).token.replace('Bearer ', '');
  assert.ok(!JSON.stringify(laptop.client.extract()).includes(token.slice(0, 20)));
});

await step('The link of the mail proves the e-mail', async () => {
  assert.deepEqual((await laptop.mutate(VERIFY, { token: await mailedToken('Confirm your e-mail address') })).verifyEmail.userErrors, []);
});

// Their refresh token is copied and used elsewhere now. That shows when it comes back, at the end of the story.
const victim = openTab();
await victim.register({ email: 'carol@example.com', password: 'tulip-anchor-fjord', name: 'Carol' });
const thief = openTab(await victim.jar.clone());
await thief.resume();
const theft = performance.now();

await step('A wrong password is refused; another device logs in and adds its cart, as far as it goes', async () => {
  assert.equal(await phone.addMugs(4), 4);
  const refused = await phone.login({ email, password: 'wrong' });
  assert.equal(refused.userErrors[0].code, 'INVALID_CREDENTIALS');
  const { user, merged } = await phone.login({ email, password });
  assert.equal(user.name, 'Ada');
  assert.deepEqual([merged[0].reason, merged[0].guest, merged[0].after], ['CAPPED', 4, 5]);
  assert.deepEqual((await phone.query(SESSIONS)).me.sessions.map(({ current }) => current), [true, false]);
});

await step('A reloaded page finds out who is logged in, though nobody calls resume()', async () => {
  const reloaded = openTab(laptop.jar);
  assert.equal((await reloaded.who()).me.name, 'Ada');
  assert.deepEqual(reloaded.net.sent.map(({ name }) => name), ['Refresh', 'Who']);
  assert.equal((await reloaded.resume()).name, 'Ada');
});

await step('Before the token ends, ten operations at once make one refresh, whatever the clock', async () => {
  const before = laptop.count('Refresh');
  later(9);
  await laptop.who();
  assert.equal(laptop.count('Refresh'), before);
  later(0.6);
  const answers = await Promise.all(Array.from({ length: 10 }, () => laptop.who()));
  assert.ok(answers.every(({ me }) => me.name === 'Ada'));
  assert.equal(laptop.count('Refresh'), before + 1);
  assert.equal(laptop.net.sent.at(-11).name, 'Refresh');
  later(60); // The new token seems to be old already: this clock is an hour fast.
  await laptop.who();
  await laptop.who();
  assert.equal(laptop.count('Refresh'), before + 2);
});

await step('A token that the shop refuses is replaced once, for ten operations, which are sent again', async () => {
  const before = laptop.count('Refresh');
  let spoilt = 0;
  laptop.net.before = ({ name }, request) => {
    if (name === 'Who' && (spoilt += 1) <= 10) request.headers.authorization += 'x';
  };
  const answers = await Promise.all(Array.from({ length: 10 }, () => laptop.who()));
  assert.ok(answers.every(({ me }) => me.name === 'Ada'));
  assert.deepEqual([laptop.count('Refresh'), spoilt], [before + 1, 20]);
  laptop.net.before = (_, request) => {
    if (request.headers.authorization) request.headers.authorization += 'x';
  };
  await assert.rejects(laptop.who(), unauthenticated); // Once again only, not for ever.
  laptop.net.before = () => {};
  assert.equal((await laptop.who()).me.name, 'Ada');
});

await step('Logins and refreshes carry no access token', async () => {
  const bare = [...laptop.net.sent, ...phone.net.sent].filter(({ name }) => /Refresh|Login|Register/.test(name));
  assert.ok(bare.length > 6 && bare.every(({ token }) => !token));
});

await step('Two tabs that refresh at the same moment both go on, as often as they like', async () => {
  const other = openTab(laptop.jar);
  await other.resume();
  for (const _ of [1, 2, 3]) {
    later(11);
    const seen = await Promise.all([laptop.who(), other.who()]);
    assert.deepEqual(seen.map(({ me }) => me.name), ['Ada', 'Ada']);
  }
  assert.ok(laptop.net.users.every((name) => name !== 'TOKEN_REUSED'));
});

await step('A refresh whose answer is lost is asked for again', async () => {
  later(11);
  const before = laptop.count('Refresh');
  laptop.net.after = ({ name }) => name === 'Refresh' && laptop.count('Refresh') === before + 1 && offline();
  assert.equal((await laptop.who()).me.name, 'Ada');
  assert.equal(laptop.count('Refresh'), before + 2);
  laptop.net.after = () => {};
});

await step('Offline, operations fail and nobody is logged out', async () => {
  later(11);
  const [users, before] = [laptop.net.users.length, laptop.count('Refresh')];
  laptop.net.before = offline;
  const failures = await Promise.allSettled([laptop.who(), laptop.who(), laptop.who()]);
  assert.ok(failures.every(({ reason }) => reason.message === 'fetch failed'));
  assert.equal(laptop.count('Refresh'), before + 2);
  laptop.net.before = () => {};
  assert.equal((await laptop.who()).me.name, 'Ada');
  assert.equal(laptop.net.users.length, users);
});

await step('Logging out makes a guest without a cart, in the other tab too, and leaves no cookie', async () => {
  const other = openTab(laptop.jar);
  await other.resume();
  await laptop.logout();
  assert.deepEqual(laptop.client.extract(), {});
  assert.deepEqual(await laptop.who(), { me: null, cart: null });
  assert.equal(laptop.net.users.at(-1), null);
  assert.deepEqual(await laptop.jar.getCookies(uri), []);
  await assert.rejects(other.mutate(RENAME, { name: 'Nobody' }), unauthenticated);
  assert.deepEqual(await other.who(), { me: null, cart: null });
  assert.deepEqual(other.net.users, ['Ada', 'TOKEN_EXPIRED']);
  await laptop.logout(); // Again changes nothing.
});

await step('The cart was kept for the next login, of which the other tab learns by resume()', async () => {
  const other = openTab(laptop.jar);
  assert.equal((await other.who()).me, null);
  await laptop.login({ email, password });
  assert.equal((await laptop.who()).me.cart.totalQuantity, 5);
  assert.equal((await other.who()).me, null);
  assert.equal((await other.resume()).name, 'Ada');
  assert.equal((await other.who()).me.cart.totalQuantity, 5);
});

await step('Nothing is done in the name of whoever logged in by another tab', async () => {
  const other = openTab(laptop.jar);
  await other.resume();
  await laptop.logout();
  await laptop.register({ email: 'bob@example.com', password: 'quince-marble-oboe', name: 'Bob' });
  await assert.rejects(other.mutate(RENAME, { name: 'Ada Lovelace' }), unauthenticated);
  assert.equal((await other.who()).me.name, 'Bob');
  assert.deepEqual(other.net.users, ['Ada', 'Bob']);
  await laptop.logout();
  await laptop.login({ email, password });
});

await step('A password that is changed ends the other devices; one that is reset logs in', async () => {
  const before = laptop.count('Refresh');
  await laptop.changePassword({ current: password, password: 'violin-basalt-toast' });
  assert.equal((await laptop.who()).me.name, 'Ada');
  assert.equal(laptop.count('Refresh'), before);
  await assert.rejects(phone.who());
  await phone.mutate(FORGOT, { email });
  password = 'copper-willow-drum';
  const { user } = await phone.resetPassword({ token: await mailedToken('Reset your password'), password });
  assert.equal(user.name, 'Ada');
  await assert.rejects(laptop.who());
  await laptop.login({ email, password });
});

await step('Logging out everywhere makes the other device a guest', async () => {
  assert.equal((await phone.who()).me.name, 'Ada');
  await laptop.logout({ everywhere: true });
  assert.equal((await laptop.who()).me, null);
  await assert.rejects(phone.who());
  assert.deepEqual(await phone.who(), { me: null, cart: null });
  assert.equal(phone.net.users.at(-1), 'TOKEN_EXPIRED');
  await phone.login({ email, password });
  await openTab(phone.jar).logout({ everywhere: true });
  await phone.logout({ everywhere: true }); // It had ended already.
  assert.equal(phone.net.users.at(-1), 'TOKEN_EXPIRED');
});

await step('Operations are sent by their hash, queries by GET, once the shop knows them', async () => {
  const tab = openTab(new CookieJar(), { persisted: true });
  const methods = (name) => tab.net.sent.filter((sent) => sent.name === name).map(({ method }) => method);
  for (let times = 0; times < 3; times += 1) assert.ok((await tab.query(MUG)).product.variants.length);
  assert.deepEqual(methods('Mug'), ['GET', 'POST', 'GET', 'GET']);
  assert.equal(await tab.addMugs(1), 1);
  assert.equal(await tab.addMugs(1), 2);
  assert.deepEqual(await tab.who(), { me: null, cart: { __typename: 'Cart', totalQuantity: 2 } });
  assert.deepEqual(await tab.who(), { me: null, cart: { __typename: 'Cart', totalQuantity: 2 } });
  assert.equal(methods('Who').at(-1), 'GET');
});

await step('A native app keeps its refresh token itself', async () => {
  const kept = new Map();
  const SecureStore = {
    getItemAsync: async (key) => kept.get(key) ?? null,
    setItemAsync: async (key, value) => void kept.set(key, value),
    deleteItemAsync: async (key) => void kept.delete(key),
  };
  const start = () => openTab(null, { SecureStore }, createNativeShop);
  const app = start();
  assert.equal(await app.resume(), null);
  await app.login({ email, password });
  const first = kept.get('refresh');
  later(11);
  assert.equal((await app.who()).me.name, 'Ada');
  assert.notEqual(kept.get('refresh'), first);
  const again = start();
  assert.equal((await again.resume()).name, 'Ada');
  const next = 'harp-gravel-lemon';
  await again.changePassword({ current: password, password: next });
  password = next;
  assert.equal((await start().resume()).name, 'Ada');
  await again.logout();
  assert.equal(kept.size, 0);
  await assert.rejects(app.who());
});

await step('A refresh token that was stolen ends the session for both', async () => {
  await sleep(Math.max(0, theft + 30_500 - performance.now()));
  await assert.rejects(victim.mutate(RENAME, { name: 'Carol' }), unauthenticated);
  assert.equal(victim.net.users.at(-1), 'TOKEN_REUSED');
  await assert.rejects(thief.mutate(RENAME, { name: 'Mallory' }), unauthenticated);
  assert.equal(thief.net.users.at(-1), 'TOKEN_EXPIRED');
});

await step('An account is deleted', async () => {
  await laptop.login({ email, password });
  assert.deepEqual((await laptop.mutate(DELETE, { password })).deleteAccount.userErrors, []);
  await laptop.logout();
  assert.deepEqual(laptop.net.users.slice(-2), ['Ada', null]);
  assert.equal((await laptop.login({ email, password })).userErrors[0].code, 'INVALID_CREDENTIALS');
});
