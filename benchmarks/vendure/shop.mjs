// Vendure as its documentation sets it up for production, on the tables that `prepare.mjs` has made.
import { DefaultJobQueuePlugin, DefaultLogger, DefaultSearchPlugin, LogLevel, dummyPaymentHandler } from '@vendure/core';
import pg from 'pg';

// Counts SQL statements, and tells those of the last request in a header: right while one request is under way at a time.
let statements = 0;
const query = pg.Client.prototype.query;
pg.Client.prototype.query = function (...given) {
  statements += 1;
  return query.apply(this, given);
};
function tell(request, response, next) {
  const before = statements;
  const { writeHead } = response;
  response.writeHead = function (...given) {
    response.setHeader('x-statements', statements - before);
    return writeHead.apply(this, given);
  };
  next();
}

export const config = {
  apiOptions: {
    hostname: '127.0.0.1',
    port: Number(process.env.PORT),
    adminApiPath: 'admin-api',
    shopApiPath: 'shop-api',
    middleware: [{ route: 'shop-api', handler: tell }],
  },
  authOptions: {
    tokenMethod: ['bearer'],
    superadminCredentials: { identifier: 'benchmark', password: 'benchmark' },
    cookieOptions: { secret: 'benchmark' },
  },
  dbConnectionOptions: {
    type: 'postgres',
    url: process.env.DATABASE_URL,
    synchronize: process.env.SYNCHRONIZE === 'true',
    migrations: [],
    logging: false,
  },
  paymentOptions: { paymentMethodHandlers: [dummyPaymentHandler] },
  // Addresses of pictures, as its AssetServerPlugin writes them; nobody gets the pictures themselves.
  assetOptions: { assetStorageStrategy: { toAbsoluteUrl: (request, file) => `http://127.0.0.1/assets/${file}` } },
  logger: new DefaultLogger({ level: LogLevel.Warn }),
  plugins: [DefaultJobQueuePlugin.init({}), DefaultSearchPlugin.init({})],
};
