// The same in a native app: `SecureStore` is expo-secure-store, or whatever else reaches the Keychain and the Keystore.
import { createShop } from './client.mjs';

export const createNativeShop = ({ SecureStore, ...options }) =>
  createShop({
    ...options,
    storage: {
      get: () => SecureStore.getItemAsync('refresh'),
      set: (token) => (token ? SecureStore.setItemAsync('refresh', token) : SecureStore.deleteItemAsync('refresh')),
    },
  });
