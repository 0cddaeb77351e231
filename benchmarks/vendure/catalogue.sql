-- The same products for Vendure: `staged` holds Commercia's tables, as run.py has copied them. What Vendure's own importer
-- and search index would write, without the hours that they take for 100,000 products.
UPDATE channel SET "defaultCurrencyCode" = 'EUR', "availableCurrencyCodes" = 'EUR', "pricesIncludeTax" = true;

INSERT INTO asset (id, type, "mimeType", width, height, "fileSize", source, preview)
  SELECT id, 'IMAGE', 'image/jpeg', width, height, 100000, file, file FROM staged.image;
INSERT INTO asset_translation ("baseId", "languageCode", name) SELECT id, 'en', alt FROM staged.image;
INSERT INTO asset_channels_channel ("assetId", "channelId") SELECT id, 1 FROM staged.image;

INSERT INTO product (id, "createdAt", "featuredAssetId")
  SELECT product.id, published_at, image.id FROM staged.product
  JOIN staged.image ON image.product_id = product.id AND image.position = 0;
INSERT INTO product_translation ("baseId", "languageCode", name, slug, description)
  SELECT id, 'en', title, slug, description_html FROM staged.product;
INSERT INTO product_channels_channel ("productId", "channelId") SELECT id, 1 FROM staged.product;
INSERT INTO product_asset ("productId", "assetId", position) SELECT product_id, id, position FROM staged.image;

INSERT INTO product_variant (id, sku, "taxCategoryId", "productId") SELECT id, sku, 1, product_id FROM staged.productvariant;
INSERT INTO product_variant_translation ("baseId", "languageCode", name)
  SELECT variant.id, 'en', concat_ws(' ', title, option1, option2)
  FROM staged.productvariant variant JOIN staged.product ON product.id = product_id;
INSERT INTO product_variant_channels_channel ("productVariantId", "channelId") SELECT id, 1 FROM staged.productvariant;
INSERT INTO product_variant_price ("variantId", "channelId", "currencyCode", price)
  SELECT id, 1, 'EUR', price * 100 FROM staged.productvariant;
INSERT INTO stock_level ("productVariantId", "stockLocationId", "stockOnHand", "stockAllocated")
  SELECT variant_id, 1, on_hand, 0 FROM staged.stock;

-- Each product's own option groups: 2 * id is Size, 2 * id + 1 is Colour.
CREATE TEMP TABLE chosen AS
  SELECT id AS variant, product_id AS product, 2 * product_id AS "group", 'Size' AS name, option1 AS value FROM staged.productvariant
  UNION ALL SELECT id, product_id, 2 * product_id + 1, 'Colour', option2 FROM staged.productvariant;
INSERT INTO product_option_group (id, code) SELECT DISTINCT "group", name || '-' || "group" FROM chosen;
INSERT INTO product_option_group_translation ("baseId", "languageCode", name) SELECT DISTINCT "group", 'en', name FROM chosen;
INSERT INTO product_option_group_channels_channel ("productOptionGroupId", "channelId") SELECT id, 1 FROM product_option_group;
INSERT INTO product_option_groups_product_option_group ("productId", "productOptionGroupId")
  SELECT DISTINCT product, "group" FROM chosen;
INSERT INTO product_option (code, "groupId") SELECT DISTINCT value, "group" FROM chosen;
INSERT INTO product_option_translation ("baseId", "languageCode", name) SELECT id, 'en', code FROM product_option;
INSERT INTO product_option_channels_channel ("productOptionId", "channelId") SELECT id, 1 FROM product_option;
ANALYZE chosen, product_option;
INSERT INTO product_variant_options_product_option ("productVariantId", "productOptionId")
  SELECT variant, id FROM chosen JOIN product_option ON "groupId" = "group" AND code = value;

INSERT INTO facet (id, code) VALUES (1, 'vendor'), (2, 'tag');
INSERT INTO facet_translation ("baseId", "languageCode", name) SELECT id, 'en', code FROM facet;
INSERT INTO facet_channels_channel ("facetId", "channelId") SELECT id, 1 FROM facet;
INSERT INTO facet_value ("facetId", code) SELECT DISTINCT 1, vendor FROM staged.product;
INSERT INTO facet_value ("facetId", code) SELECT 2, name FROM staged.tag;
INSERT INTO facet_value_translation ("baseId", "languageCode", name) SELECT id, 'en', code FROM facet_value;
INSERT INTO facet_value_channels_channel ("facetValueId", "channelId") SELECT id, 1 FROM facet_value;
INSERT INTO product_facet_values_facet_value ("productId", "facetValueId")
  SELECT product.id, facet_value.id FROM staged.product JOIN facet_value ON "facetId" = 1 AND code = vendor
  UNION SELECT product_id, facet_value.id FROM staged.product_tags JOIN staged.tag ON tag.id = tag_id
  JOIN facet_value ON "facetId" = 2 AND code = tag.name;

-- A collection for each category; a variant is in that of its category and in all above it. 1 is the root.
INSERT INTO collection (id, "isRoot", position, filters, "parentId") VALUES (1, true, 0, '[]', NULL);
INSERT INTO collection (id, position, filters, "parentId") SELECT id + 1, position, '[]', coalesce(parent_id + 1, 1) FROM staged.category;
INSERT INTO collection_translation ("baseId", "languageCode", name, slug, description)
  SELECT 1, 'en', '__root_collection__', '__root_collection__', '' UNION ALL SELECT id + 1, 'en', name, slug, '' FROM staged.category;
INSERT INTO collection_channels_channel ("collectionId", "channelId") SELECT id, 1 FROM collection;
INSERT INTO collection_closure (id_ancestor, id_descendant)
  WITH RECURSIVE above (ancestor, descendant) AS (
    SELECT id, id FROM collection
    UNION ALL SELECT "parentId", descendant FROM above JOIN collection ON id = ancestor WHERE "parentId" IS NOT NULL
  ) SELECT ancestor, descendant FROM above;
CREATE TEMP TABLE hung AS
  SELECT DISTINCT product_id AS product, id_ancestor AS collection FROM staged.product_categories
  JOIN collection_closure ON id_descendant = category_id + 1 WHERE id_ancestor > 1;
INSERT INTO collection_product_variants_product_variant ("collectionId", "productVariantId")
  SELECT collection, id FROM hung JOIN staged.productvariant ON product_id = product;

-- What was written in this transaction the planner would take for a handful of rows.
ANALYZE;
INSERT INTO search_index_item (
  "languageCode", enabled, "productName", "productVariantName", description, slug, sku, "facetIds", "facetValueIds",
  "collectionIds", "collectionSlugs", "channelIds", "productPreview", "productVariantPreview", "productVariantId",
  "channelId", "productId", "productAssetId", price, "priceWithTax")
SELECT 'en', true, product.title, variant_name.name, regexp_replace(description_html, '<[^>]*>', '', 'g'), product.slug,
  variant.sku, '1,2', facets.ids, collections.ids, collections.slugs, '1', image.file, '', variant.id, 1, product.id,
  image.id, round(variant.price * 100 / 1.19), variant.price * 100
FROM staged.productvariant variant
JOIN staged.product ON product.id = variant.product_id
JOIN product_variant_translation variant_name ON variant_name."baseId" = variant.id
JOIN staged.image ON image.product_id = product.id AND image.position = 0
JOIN (SELECT "productId" AS product, string_agg("facetValueId"::text, ',') AS ids
  FROM product_facet_values_facet_value GROUP BY 1) facets ON facets.product = product.id
JOIN (SELECT product, string_agg(collection::text, ',') AS ids, string_agg(slug, ',') AS slugs
  FROM hung JOIN collection_translation ON "baseId" = collection GROUP BY 1) collections ON collections.product = product.id;

-- Numbering goes on after what was written with its number.
SELECT setval(pg_get_serial_sequence(format('%I', name), 'id'), (xpath('//m/text()',
    query_to_xml(format('SELECT coalesce(max(id), 1) AS m FROM %I', name), true, true, '')))[1]::text::bigint)
FROM unnest(ARRAY['asset', 'product', 'product_variant', 'product_option_group', 'facet', 'collection']) name;
DROP SCHEMA staged CASCADE;
