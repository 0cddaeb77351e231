// Makes Vendure's tables, and what a shop needs besides products: a zone, taxes, a way of shipping, one of paying.
import { LanguageCode, bootstrap } from '@vendure/core';
import { populate } from '@vendure/core/cli/index.js';
import { config } from './shop.mjs';

const app = await populate(() => bootstrap(config), {
  defaultLanguage: LanguageCode.en,
  defaultZone: 'Europe',
  countries: [{ name: 'Germany', code: 'DE', zone: 'Europe' }],
  taxRates: [{ name: 'Standard', percentage: 19 }],
  shippingMethods: [{ name: 'Standard', price: 490 }],
  paymentMethods: [{ name: 'Dummy', handler: { code: 'dummy-payment-handler', arguments: [{ name: 'automaticSettle', value: 'true' }] } }],
  collections: [],
});
await app.close();
process.exit(0);
