"""All tables, as `makemigrations` writes them. Columns stand in the order in which earlier migrations added them."""

import django.core.serializers.json
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.text
import django.utils.timezone
import storefront.models.accounts
import storefront.models.cart
import storefront.models.fields
import storefront.models.webhooks
import uuid
from decimal import Decimal
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [("storefront", name) for name in """
        0001_shop 0003_accounts 0004_checkout 0005_countries_to_zones 0006_zones_only
        0007_discount_uses_by_email 0008_outbox 0009_outbox_request 0010_shipments 0011_webhooks 0012_clocks
        0013_gateways 0014_paypal_flutterwave 0015_staff 0016_images 0017_imports 0018_catalogue_version
        0019_catalogue_indexes 0021_terms_version
    """.split()]

    initial = True

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
    ]

    operations = [
        migrations.CreateModel(
            name='User',
            fields=[
                ('password', models.CharField(max_length=128, verbose_name='password')),
                ('last_login', models.DateTimeField(blank=True, null=True, verbose_name='last login')),
                ('is_superuser', models.BooleanField(default=False, help_text='Designates that this user has all permissions without explicitly assigning them.', verbose_name='superuser status')),
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('email', models.EmailField(blank=True, max_length=254, null=True, unique=True)),
                ('name', models.CharField(blank=True, max_length=200)),
                ('is_staff', models.BooleanField(default=False, verbose_name='may use the admin')),
                ('is_active', models.BooleanField(default=True, verbose_name='may log in')),
                ('joined_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('groups', models.ManyToManyField(blank=True, help_text='The groups this user belongs to. A user will get all permissions granted to each of their groups.', related_name='user_set', related_query_name='user', to='auth.group', verbose_name='groups')),
                ('user_permissions', models.ManyToManyField(blank=True, help_text='Specific permissions for this user.', related_name='user_set', related_query_name='user', to='auth.permission', verbose_name='user permissions')),
                ('claimed_email', models.EmailField(blank=True, db_default='', help_text='The address given at registration, not verified yet.', max_length=254)),
                ('token_version', models.CharField(db_default='', default=storefront.models.accounts.new_token_version, editable=False, help_text='Part of every token and session of the account. Changing it ends them all.', max_length=16)),
            ],
            options={
                'indexes': [models.Index(fields=['claimed_email'], name='user_claimed_email'), models.Index(fields=['-joined_at', 'id'], name='user_newest')],
                'constraints': [models.CheckConstraint(condition=models.Q(('email', django.db.models.functions.text.Lower('email'))), name='user_email_is_lower_case'), models.CheckConstraint(condition=models.Q(('claimed_email', django.db.models.functions.text.Lower('claimed_email'))), name='user_claimed_email_is_lower_case')],
            },
        ),
        migrations.CreateModel(
            name='Currency',
            fields=[
                ('code', models.CharField(max_length=3, primary_key=True, serialize=False, validators=[django.core.validators.RegexValidator('^[A-Z]{3}$', 'An ISO 4217 code, such as USD.')])),
                ('rate', models.DecimalField(decimal_places=8, help_text="How much one unit of the shop's currency is worth in this currency.", max_digits=18, validators=[django.core.validators.MinValueValidator(Decimal('1E-8'))])),
                ('is_active', models.BooleanField(default=True, verbose_name='active')),
                ('version', models.PositiveIntegerField(db_default=1, default=1, editable=False)),
            ],
            options={
                'verbose_name_plural': 'currencies',
                'ordering': ['code'],
                'constraints': [models.CheckConstraint(condition=models.Q(('rate__gt', 0)), name='currency_rate_is_positive')],
            },
        ),
        migrations.CreateModel(
            name='TaxClass',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100, unique=True)),
                ('version', models.PositiveIntegerField(db_default=1, default=1, editable=False)),
            ],
            options={
                'verbose_name_plural': 'tax classes',
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='Category',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('slug', models.SlugField(allow_unicode=True, max_length=100, unique=True)),
                ('name', models.CharField(max_length=100)),
                ('description', models.TextField(blank=True)),
                ('position', models.PositiveIntegerField(default=0)),
                ('parent', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='children', to='storefront.category')),
                ('version', models.PositiveIntegerField(db_default=1, default=1, editable=False)),
            ],
            options={
                'verbose_name_plural': 'categories',
                'ordering': ['position', 'name'],
            },
        ),
        migrations.CreateModel(
            name='Tag',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100, unique=True)),
            ],
            options={
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='Product',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('slug', models.SlugField(allow_unicode=True, max_length=200, unique=True)),
                ('title', models.CharField(max_length=300)),
                ('description_html', models.TextField(blank=True)),
                ('vendor', models.CharField(blank=True, max_length=200)),
                ('product_type', models.CharField(blank=True, max_length=200)),
                ('option1_name', models.CharField(blank=True, max_length=100)),
                ('option2_name', models.CharField(blank=True, max_length=100)),
                ('option3_name', models.CharField(blank=True, max_length=100)),
                ('published_at', models.DateTimeField(blank=True, null=True)),
                ('min_price', models.DecimalField(decimal_places=3, default=0, editable=False, max_digits=14, validators=[django.core.validators.MinValueValidator(0)])),
                ('max_price', models.DecimalField(decimal_places=3, default=0, editable=False, max_digits=14, validators=[django.core.validators.MinValueValidator(0)])),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('categories', models.ManyToManyField(blank=True, related_name='products', to='storefront.category')),
                ('tags', models.ManyToManyField(blank=True, related_name='products', to='storefront.tag')),
                ('tax_class', models.ForeignKey(blank=True, help_text='Leave empty for the standard rate.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='products', to='storefront.taxclass')),
                ('archived_at', models.DateTimeField(blank=True, help_text="Hidden from buyers and from the staff's lists.", null=True)),
                ('version', models.PositiveIntegerField(db_default=1, default=1, editable=False)),
            ],
            options={
                'indexes': [models.Index(fields=['-published_at', 'id'], name='product_newest'), models.Index(fields=['min_price', 'id'], name='product_price'), models.Index(fields=['title', 'id'], name='product_title'), models.Index(fields=['-updated_at', 'id'], name='product_changed'), models.Index(fields=['vendor', '-published_at', 'id'], name='product_vendor')],
                'constraints': [models.CheckConstraint(condition=models.Q(('min_price__gte', 0), ('max_price__gte', models.F('min_price'))), name='product_price_range_is_ordered'), models.CheckConstraint(condition=models.Q(('archived_at', None), ('published_at', None), _connector='OR'), name='product_archived_is_not_published', violation_error_message='What is archived is not published.')],
            },
        ),
        migrations.CreateModel(
            name='Discount',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('code', models.CharField(help_text='The code that buyers type, in upper or lower case.', max_length=40, unique=True, validators=[django.core.validators.RegexValidator('^[0-9A-Z_-]+$', 'Letters, digits, - and _ only.')])),
                ('kind', models.CharField(choices=[('PERCENTAGE', 'percentage of the goods'), ('FIXED', 'amount off the goods'), ('FREE_SHIPPING', 'free shipping')], max_length=20)),
                ('value', models.DecimalField(decimal_places=3, default=Decimal('0'), help_text='A percentage or an amount, depending on the kind. 0 for free shipping.', max_digits=14)),
                ('minimum_total', models.DecimalField(blank=True, decimal_places=3, help_text='The goods in the cart must cost at least this much before discounts.', max_digits=14, null=True, validators=[django.core.validators.MinValueValidator(0)])),
                ('starts_at', models.DateTimeField(blank=True, null=True)),
                ('ends_at', models.DateTimeField(blank=True, help_text='The code is not valid from this time on.', null=True)),
                ('max_uses', models.PositiveIntegerField(blank=True, help_text='Number of orders in all. Leave empty for no limit.', null=True)),
                ('max_uses_per_customer', models.PositiveIntegerField(blank=True, help_text='Number of orders per account or e-mail address. Leave empty for no limit.', null=True)),
                ('is_active', models.BooleanField(default=True, verbose_name='active')),
                ('categories', models.ManyToManyField(blank=True, help_text='Includes their subcategories.', related_name='discounts', to='storefront.category')),
                ('products', models.ManyToManyField(blank=True, help_text='Leave products and categories empty to discount all goods.', related_name='discounts', to='storefront.product')),
                ('version', models.PositiveIntegerField(db_default=1, default=1, editable=False)),
            ],
            options={
                'ordering': ['code'],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('kind', 'PERCENTAGE'), ('value__gt', 0), ('value__lte', 100)), models.Q(('kind', 'FIXED'), ('value__gt', 0)), models.Q(('kind', 'FREE_SHIPPING'), ('value', 0)), _connector='OR'), name='discount_value_is_sane', violation_error_message='A percentage is above 0 and at most 100, an amount above 0; free shipping has the value 0.'), models.CheckConstraint(condition=models.Q(('starts_at', None), ('ends_at', None), ('ends_at__gt', models.F('starts_at')), _connector='OR'), name='discount_ends_after_it_starts', violation_error_message='It has to end after it starts.'), models.CheckConstraint(condition=models.Q(('minimum_total', None), ('minimum_total__gte', 0), _connector='OR'), name='discount_minimum_is_not_negative')],
            },
        ),
        migrations.CreateModel(
            name='Cart',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('code', models.CharField(default=storefront.models.cart.new_cart_code, editable=False, max_length=64, unique=True)),
                ('state', models.CharField(choices=[('ACTIVE', 'active'), ('MERGED', 'merged into another cart'), ('CONVERTED', 'converted to an order'), ('ABANDONED', 'abandoned')], default='ACTIVE', max_length=10)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField()),
                ('user', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='carts', to=settings.AUTH_USER_MODEL)),
                ('currency', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='storefront.currency')),
                ('discounts', models.ManyToManyField(blank=True, related_name='carts', to='storefront.discount')),
            ],
            options={
                'constraints': [models.UniqueConstraint(condition=models.Q(('state', 'ACTIVE')), fields=('user',), name='cart_is_one_active_a_user')],
            },
        ),
        migrations.CreateModel(
            name='ImageUpload',
            fields=[
                ('key', models.CharField(max_length=32, primary_key=True, serialize=False)),
                ('filename', models.CharField(blank=True, help_text='The original file name. Never used as a path.', max_length=255)),
                ('created_at', models.DateTimeField()),
                ('discarded_at', models.DateTimeField(blank=True, help_text='From then on it cannot be attached.', null=True)),
            ],
        ),
        migrations.CreateModel(
            name='Image',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('file', models.FileField(max_length=300, upload_to='products/')),
                ('alt', models.CharField(blank=True, max_length=500)),
                ('width', models.PositiveIntegerField()),
                ('height', models.PositiveIntegerField()),
                ('position', models.PositiveIntegerField(default=0)),
                ('source', models.CharField(blank=True, help_text='The address in the imported file.', max_length=1000)),
                ('product', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='images', to='storefront.product')),
                ('rendered_at', models.DateTimeField(blank=True, null=True)),
                ('upload', models.OneToOneField(blank=True, help_text='The upload with the original file.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='image', to='storefront.imageupload')),
            ],
            options={
                'ordering': ['position', 'id'],
                'constraints': [models.UniqueConstraint(condition=models.Q(('source', ''), _negated=True), fields=('product', 'source'), name='image_source_is_taken_once')],
            },
        ),
        migrations.CreateModel(
            name='ProductVariant',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('sku', models.CharField(max_length=100, unique=True, verbose_name='SKU')),
                ('option1', models.CharField(blank=True, max_length=200)),
                ('option2', models.CharField(blank=True, max_length=200)),
                ('option3', models.CharField(blank=True, max_length=200)),
                ('price', models.DecimalField(decimal_places=3, max_digits=14, validators=[django.core.validators.MinValueValidator(0)])),
                ('compare_at_price', models.DecimalField(blank=True, decimal_places=3, max_digits=14, null=True, validators=[django.core.validators.MinValueValidator(0)])),
                ('weight_grams', models.PositiveIntegerField(blank=True, null=True)),
                ('barcode', models.CharField(blank=True, max_length=50)),
                ('position', models.PositiveIntegerField(default=0)),
                ('image', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='variants', to='storefront.image')),
                ('product', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='variants', to='storefront.product')),
                ('is_withdrawn', models.BooleanField(db_default=False, default=False, help_text='Not shown and not sold.', verbose_name='withdrawn')),
            ],
            options={
                'ordering': ['position', 'id'],
                'constraints': [models.CheckConstraint(condition=models.Q(('price__gte', 0), models.Q(('compare_at_price', None), ('compare_at_price__gte', 0), _connector='OR')), name='productvariant_price_is_not_negative'), models.UniqueConstraint(fields=('product', 'option1', 'option2', 'option3'), name='productvariant_options_are_unique')],
            },
        ),
        migrations.CreateModel(
            name='ShippingZone',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100, unique=True)),
                ('countries', models.JSONField(blank=True, default=list, help_text='ISO 3166-1 alpha-2 codes, for example ["DE", "AT"]. Leave empty for all countries of the shop.')),
                ('version', models.PositiveIntegerField(db_default=1, default=1, editable=False)),
            ],
            options={
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='ShippingMethod',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100)),
                ('price', models.DecimalField(decimal_places=3, help_text='For parcels of any weight. If there are weight bands, their prices apply instead.', max_digits=14, validators=[django.core.validators.MinValueValidator(0)])),
                ('estimate', models.CharField(blank=True, help_text='Delivery time shown to buyers, for example "2-3 days".', max_length=100)),
                ('position', models.PositiveIntegerField(default=0)),
                ('is_active', models.BooleanField(default=True, verbose_name='active')),
                ('free_from', models.DecimalField(blank=True, decimal_places=3, help_text='Shipping is free if the goods cost at least this much after discounts.', max_digits=14, null=True, validators=[django.core.validators.MinValueValidator(0)])),
                ('zone', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='methods', to='storefront.shippingzone')),
                ('tax_class', models.ForeignKey(blank=True, help_text='Leave empty for the standard rate.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='storefront.taxclass')),
                ('version', models.PositiveIntegerField(db_default=1, default=1, editable=False)),
            ],
            options={
                'ordering': ['position', 'id'],
                'constraints': [models.CheckConstraint(condition=models.Q(('price__gte', 0), models.Q(('free_from', None), ('free_from__gte', 0), _connector='OR')), name='shippingmethod_price_is_not_negative')],
            },
        ),
        migrations.CreateModel(
            name='Checkout',
            fields=[
                ('cart', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='checkout', serialize=False, to='storefront.cart')),
                ('email', models.EmailField(blank=True, max_length=254)),
                ('shipping_address', storefront.models.fields.AddressField(blank=True, null=True)),
                ('billing_address', storefront.models.fields.AddressField(blank=True, null=True)),
                ('shipping_method', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='storefront.shippingmethod')),
            ],
        ),
        migrations.CreateModel(
            name='Order',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('number', models.CharField(editable=False, max_length=20, unique=True)),
                ('state', models.CharField(choices=[('AWAITING_PAYMENT', 'awaiting payment'), ('PAID', 'paid'), ('SHIPPED', 'shipped'), ('DELIVERED', 'delivered'), ('CANCELLED', 'cancelled'), ('EXPIRED', 'expired'), ('REFUNDED', 'refunded')], default='AWAITING_PAYMENT', max_length=20)),
                ('email', models.EmailField(max_length=254)),
                ('currency', models.CharField(max_length=3)),
                ('subtotal', models.DecimalField(decimal_places=3, max_digits=14, validators=[django.core.validators.MinValueValidator(0)])),
                ('discount', models.DecimalField(decimal_places=3, default=0, max_digits=14, validators=[django.core.validators.MinValueValidator(0)])),
                ('shipping', models.DecimalField(decimal_places=3, max_digits=14, validators=[django.core.validators.MinValueValidator(0)])),
                ('tax', models.DecimalField(decimal_places=3, default=0, max_digits=14, validators=[django.core.validators.MinValueValidator(0)])),
                ('total', models.DecimalField(decimal_places=3, max_digits=14, validators=[django.core.validators.MinValueValidator(0)])),
                ('shipping_address', storefront.models.fields.AddressField()),
                ('billing_address', storefront.models.fields.AddressField()),
                ('shipping_method', models.CharField(max_length=100)),
                ('note', models.TextField(blank=True)),
                ('placed_at', models.DateTimeField()),
                ('cart', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='order', to='storefront.cart')),
                ('user', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='orders', to=settings.AUTH_USER_MODEL)),
                ('exchange_rate', models.DecimalField(decimal_places=8, default=Decimal('1'), max_digits=18)),
                ('net', models.DecimalField(decimal_places=3, default=0, max_digits=14, validators=[django.core.validators.MinValueValidator(0)])),
                ('price_trace', models.JSONField(default=list, help_text='How the total was calculated (`domain.sales.pricing.Step`).')),
                ('prices_include_tax', models.BooleanField(default=False)),
            ],
            options={
                'permissions': [('view_sales', 'Can view the report of sales')],
                'indexes': [models.Index(fields=['user', '-placed_at', 'id'], name='order_history'), models.Index(fields=['-placed_at', 'id'], name='order_newest'), models.Index(fields=['state', '-placed_at', 'id'], name='order_of_state'), models.Index(fields=['email', '-placed_at', 'id'], name='order_of_email')],
                'constraints': [models.CheckConstraint(condition=models.Q(('discount__gte', 0), ('net__gte', 0), ('shipping__gte', 0), ('subtotal__gte', 0), ('tax__gte', 0), ('total__gte', 0)), name='order_amounts_are_not_negative')],
            },
        ),
        migrations.CreateModel(
            name='OrderEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('PLACED', 'placed'), ('PAYMENT_STARTED', 'payment started'), ('PAYMENT_FAILED', 'payment failed'), ('PAID', 'paid'), ('SHIPPED', 'shipped'), ('DELIVERED', 'delivered'), ('CANCELLED', 'cancelled'), ('EXPIRED', 'expired'), ('REFUND_DUE', 'refund due'), ('REFUNDED', 'refunded')], max_length=20)),
                ('message', models.TextField(blank=True)),
                ('at', models.DateTimeField()),
                ('actor', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('order', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='events', to='storefront.order')),
            ],
            options={
                'ordering': ['id'],
            },
        ),
        migrations.CreateModel(
            name='Payment',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('provider', models.CharField(choices=[('TEST', 'test gateway (no money moves)'), ('STRIPE', 'Stripe'), ('PAYPAL', 'PayPal'), ('FLUTTERWAVE', 'Flutterwave')], max_length=20)),
                ('state', models.CharField(choices=[('PENDING', 'pending'), ('REQUIRES_ACTION', 'action required'), ('SUCCEEDED', 'succeeded'), ('FAILED', 'failed'), ('CANCELLED', 'cancelled')], default='PENDING', max_length=20)),
                ('amount', models.DecimalField(decimal_places=3, max_digits=14, validators=[django.core.validators.MinValueValidator(0)])),
                ('currency', models.CharField(max_length=3)),
                ('reference', models.CharField(blank=True, help_text="The gateway's id.", max_length=200)),
                ('client_secret', models.CharField(blank=True, max_length=500)),
                ('redirect_url', models.URLField(blank=True, max_length=2000)),
                ('failure', models.TextField(blank=True)),
                ('created_at', models.DateTimeField()),
                ('asked_at', models.DateTimeField(help_text='When the gateway was last asked to charge.')),
                ('order', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='payments', to='storefront.order')),
                ('check_at', models.DateTimeField(blank=True, help_text='When the payment is looked up next. Empty: never.', null=True)),
                ('refunded', models.DecimalField(decimal_places=3, default=0, help_text='Refunded, or being refunded.', max_digits=14, validators=[django.core.validators.MinValueValidator(0)])),
            ],
            options={
                'ordering': ['created_at'],
                'indexes': [models.Index(condition=models.Q(('check_at__isnull', False)), fields=['check_at'], name='payment_to_check')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('state__in', ['PENDING', 'REQUIRES_ACTION'])), fields=('order',), name='payment_is_one_open_an_order'), models.UniqueConstraint(condition=models.Q(('reference', ''), _negated=True), fields=('provider', 'reference'), name='payment_reference_is_unique'), models.CheckConstraint(condition=models.Q(('amount__gte', 0)), name='payment_amount_is_not_negative'), models.CheckConstraint(condition=models.Q(('refunded__gte', 0), ('refunded__lte', models.F('amount'))), name='payment_gives_back_no_more_than_it_took')],
            },
        ),
        migrations.CreateModel(
            name='SearchDocument',
            fields=[
                ('product', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='search_document', serialize=False, to='storefront.product')),
                ('title', models.TextField()),
                ('keywords', models.TextField()),
                ('body', models.TextField()),
            ],
        ),
        migrations.CreateModel(
            name='Stock',
            fields=[
                ('variant', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='stock', serialize=False, to='storefront.productvariant')),
                ('policy', models.CharField(choices=[('DENY', 'stop selling when out of stock'), ('BACKORDER', 'keep selling when out of stock'), ('UNTRACKED', 'not tracked (a voucher, a service)')], default='DENY', max_length=10)),
                ('on_hand', models.IntegerField(default=0)),
                ('reserved', models.IntegerField(default=0)),
            ],
            options={
                'verbose_name_plural': 'stock',
                'constraints': [models.CheckConstraint(condition=models.Q(('on_hand__gte', 0), ('reserved__gte', 0)), name='stock_is_not_negative'), models.CheckConstraint(condition=models.Q(models.Q(('policy', 'DENY'), _negated=True), ('reserved__lte', models.F('on_hand')), _connector='OR'), name='stock_is_not_oversold')],
            },
        ),
        migrations.CreateModel(
            name='OrderLine',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('sku', models.CharField(max_length=100, verbose_name='SKU')),
                ('title', models.CharField(max_length=300)),
                ('variant_title', models.CharField(blank=True, max_length=700)),
                ('quantity', models.PositiveIntegerField()),
                ('unit_price', models.DecimalField(decimal_places=3, max_digits=14, validators=[django.core.validators.MinValueValidator(0)])),
                ('total', models.DecimalField(decimal_places=3, max_digits=14, validators=[django.core.validators.MinValueValidator(0)])),
                ('position', models.PositiveIntegerField()),
                ('order', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='lines', to='storefront.order')),
                ('variant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='order_lines', to='storefront.productvariant')),
                ('discount', models.DecimalField(decimal_places=3, default=0, max_digits=14, validators=[django.core.validators.MinValueValidator(0)])),
                ('net', models.DecimalField(decimal_places=3, default=0, max_digits=14, validators=[django.core.validators.MinValueValidator(0)])),
                ('tax', models.DecimalField(decimal_places=3, default=0, max_digits=14, validators=[django.core.validators.MinValueValidator(0)])),
            ],
            options={
                'ordering': ['position'],
                'constraints': [models.UniqueConstraint(fields=('order', 'variant'), name='orderline_variant_has_one_line'), models.CheckConstraint(condition=models.Q(('quantity__gte', 1), ('discount__gte', 0), ('net__gte', 0), ('tax__gte', 0), ('total__gte', 0), ('unit_price__gte', 0)), name='orderline_is_sane')],
            },
        ),
        migrations.CreateModel(
            name='CartLine',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('quantity', models.PositiveIntegerField(validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(9999)])),
                ('position', models.PositiveIntegerField(help_text='Lines keep the order in which they were added.')),
                ('cart', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='lines', to='storefront.cart')),
                ('variant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='storefront.productvariant')),
                ('seen_price', models.DecimalField(blank=True, decimal_places=3, max_digits=14, null=True, validators=[django.core.validators.MinValueValidator(0)])),
            ],
            options={
                'ordering': ['position'],
                'constraints': [models.UniqueConstraint(fields=('cart', 'variant'), name='cartline_variant_has_one_line'), models.CheckConstraint(condition=models.Q(('quantity__gte', 1), ('quantity__lte', 9999)), name='cartline_quantity_is_sane')],
            },
        ),
        migrations.CreateModel(
            name='StockAdjustment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('request_id', models.CharField(max_length=100, unique=True)),
                ('asked', models.JSONField(help_text='What a retry must ask for too.')),
                ('at', models.DateTimeField()),
                ('actor', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='StockMovement',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('on_hand_change', models.IntegerField(default=0)),
                ('reserved_change', models.IntegerField(default=0)),
                ('reason', models.CharField(choices=[('COUNTED', 'counted'), ('RESERVED', 'reserved by an order'), ('RELEASED', 'released by an order'), ('SHIPPED', 'shipped'), ('RETURNED', 'returned'), ('ADJUSTED', 'adjusted by staff')], max_length=10)),
                ('at', models.DateTimeField()),
                ('actor', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('order', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='stock_movements', to='storefront.order')),
                ('variant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='stock_movements', to='storefront.productvariant')),
                ('note', models.CharField(blank=True, db_default='', help_text='The reason, in the words of the user.', max_length=200)),
                ('adjustment', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='movements', to='storefront.stockadjustment')),
            ],
            options={
                'ordering': ['id'],
            },
        ),
        migrations.CreateModel(
            name='Attempts',
            fields=[
                ('key', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('count', models.PositiveIntegerField()),
                ('expires_at', models.DateTimeField()),
            ],
            options={
                'verbose_name_plural': 'attempts',
                'indexes': [models.Index(fields=['expires_at'], name='attempts_expired')],
            },
        ),
        migrations.CreateModel(
            name='Session',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('token_version', models.CharField(help_text="The user's token version when the session began.", max_length=16)),
                ('user_agent', models.CharField(blank=True, max_length=300)),
                ('created_at', models.DateTimeField()),
                ('last_used_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField(help_text='The end of the session, however often it is refreshed.')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='sessions', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='RefreshToken',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.CharField(max_length=64, unique=True)),
                ('replaced_at', models.DateTimeField(null=True)),
                ('session', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='tokens', to='storefront.session')),
            ],
        ),
        migrations.CreateModel(
            name='SavedAddress',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('address', storefront.models.fields.AddressField()),
                ('created_at', models.DateTimeField()),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='addresses', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name_plural': 'saved addresses',
                'ordering': ['created_at', 'id'],
            },
        ),
        migrations.CreateModel(
            name='DiscountUse',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('email', models.EmailField(max_length=254)),
                ('used_at', models.DateTimeField()),
                ('given_back_at', models.DateTimeField(blank=True, null=True)),
                ('discount', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='uses', to='storefront.discount')),
                ('order', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='discount_uses', to='storefront.order')),
                ('user', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['id'],
                'indexes': [models.Index(fields=['discount', 'email'], name='discountuse_email')],
                'constraints': [models.UniqueConstraint(fields=('discount', 'order'), name='discountuse_is_one_an_order')],
            },
        ),
        migrations.CreateModel(
            name='TaxRate',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(default='VAT', help_text='The name shown to buyers, for example "VAT" or "MwSt.".', max_length=100)),
                ('country_code', models.CharField(help_text='ISO 3166-1 alpha-2 code, for example DE.', max_length=2, verbose_name='country')),
                ('region', models.CharField(blank=True, help_text='The code of a state or province, for example CA. Leave empty for the whole country.', max_length=50)),
                ('percent', models.DecimalField(decimal_places=4, max_digits=7, validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(100)])),
                ('tax_class', models.ForeignKey(blank=True, help_text='Leave empty for standard goods, and for goods whose tax class has no rate of its own there.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='rates', to='storefront.taxclass')),
                ('version', models.PositiveIntegerField(db_default=1, default=1, editable=False)),
            ],
            options={
                'ordering': ['country_code', 'region', 'tax_class__name'],
                'constraints': [models.CheckConstraint(condition=models.Q(('percent__gte', 0), ('percent__lte', 100)), name='taxrate_percent_is_sane'), models.UniqueConstraint(fields=('country_code', 'region', 'tax_class'), name='taxrate_is_one_a_place_and_class'), models.UniqueConstraint(condition=models.Q(('tax_class', None)), fields=('country_code', 'region'), name='taxrate_is_one_standard_a_place')],
            },
        ),
        migrations.CreateModel(
            name='VariantPrice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('price', models.DecimalField(decimal_places=3, max_digits=14, validators=[django.core.validators.MinValueValidator(0)])),
                ('compare_at_price', models.DecimalField(blank=True, decimal_places=3, max_digits=14, null=True, validators=[django.core.validators.MinValueValidator(0)])),
                ('currency', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='prices', to='storefront.currency')),
                ('variant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='prices', to='storefront.productvariant')),
                ('version', models.PositiveIntegerField(db_default=1, default=1, editable=False)),
            ],
            options={
                'ordering': ['currency'],
                'constraints': [models.UniqueConstraint(fields=('variant', 'currency'), name='variantprice_is_one_a_currency'), models.CheckConstraint(condition=models.Q(('price__gte', 0), models.Q(('compare_at_price', None), ('compare_at_price__gte', 0), _connector='OR')), name='variantprice_is_not_negative')],
            },
        ),
        migrations.CreateModel(
            name='WeightBand',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('up_to_grams', models.PositiveIntegerField(validators=[django.core.validators.MinValueValidator(1)])),
                ('price', models.DecimalField(decimal_places=3, max_digits=14, validators=[django.core.validators.MinValueValidator(0)])),
                ('method', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='bands', to='storefront.shippingmethod')),
            ],
            options={
                'ordering': ['up_to_grams'],
                'constraints': [models.UniqueConstraint(fields=('method', 'up_to_grams'), name='weightband_is_one_a_weight'), models.CheckConstraint(condition=models.Q(('up_to_grams__gte', 1), ('price__gte', 0)), name='weightband_is_not_negative')],
            },
        ),
        migrations.CreateModel(
            name='OutboxMessage',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=50)),
                ('payload', models.JSONField(default=dict)),
                ('created_at', models.DateTimeField()),
                ('due_at', models.DateTimeField(help_text='When it is tried next. Moved ahead while a worker tries.')),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('delivered_at', models.DateTimeField(blank=True, null=True)),
                ('given_up_at', models.DateTimeField(blank=True, help_text='When it failed for good, after the last attempt.', null=True)),
                ('error', models.TextField(blank=True, help_text='The error of the last attempt.')),
                ('request_id', models.CharField(blank=True, help_text='The id of the request that caused it, as in the log.', max_length=64)),
                ('priority', models.PositiveSmallIntegerField(default=0, help_text='Due messages with a lower number are delivered first.')),
            ],
            options={
                'verbose_name': 'background job',
                'ordering': ['-id'],
                'indexes': [models.Index(condition=models.Q(('delivered_at', None), ('given_up_at', None)), fields=['priority', 'due_at', 'id'], name='outbox_due'), models.Index(condition=models.Q(('delivered_at', None), _negated=True), fields=['delivered_at'], name='outbox_delivered')],
            },
        ),
        migrations.CreateModel(
            name='Shipment',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('carrier', models.CharField(max_length=100)),
                ('tracking_number', models.CharField(max_length=100)),
                ('tracking_url', models.URLField(blank=True, max_length=500, verbose_name='tracking URL')),
                ('shipped_at', models.DateTimeField()),
                ('order', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='shipments', to='storefront.order')),
            ],
            options={
                'ordering': ['shipped_at', 'id'],
                'constraints': [models.UniqueConstraint(fields=('order', 'carrier', 'tracking_number'), name='shipment_is_told_once')],
            },
        ),
        migrations.CreateModel(
            name='WebhookEndpoint',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('url', models.URLField(max_length=500, verbose_name='URL')),
                ('topics', models.JSONField(default=list)),
                ('secret', models.CharField(default=storefront.models.webhooks.new_secret, editable=False, max_length=100)),
                ('is_active', models.BooleanField(default=True, verbose_name='active')),
                ('resting_until', models.DateTimeField(blank=True, editable=False, null=True)),
            ],
            options={
                'ordering': ['id'],
            },
        ),
        migrations.CreateModel(
            name='WebhookDelivery',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('topic', models.CharField(choices=[('order.placed', 'order placed'), ('order.paid', 'order paid'), ('order.shipped', 'order shipped'), ('order.delivered', 'order delivered'), ('order.cancelled', 'order cancelled'), ('order.expired', 'order expired'), ('order.refunded', 'order refunded'), ('stock.low', 'low stock'), ('test', 'test event')], max_length=50)),
                ('body', models.TextField()),
                ('created_at', models.DateTimeField()),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('status', models.PositiveIntegerField(blank=True, help_text='HTTP status of the last answer.', null=True)),
                ('answer', models.CharField(blank=True, help_text='The beginning of the last answer, or why there was none.', max_length=500)),
                ('delivered_at', models.DateTimeField(blank=True, null=True)),
                ('endpoint', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='storefront.webhookendpoint')),
            ],
            options={
                'verbose_name_plural': 'webhook deliveries',
                'ordering': ['-created_at', 'id'],
                'indexes': [models.Index(fields=['-created_at', 'id'], name='webhook_log')],
            },
        ),
        migrations.CreateModel(
            name='ClockRun',
            fields=[
                ('clock', models.CharField(max_length=50, primary_key=True, serialize=False)),
                ('succeeded_at', models.DateTimeField(blank=True, null=True)),
                ('failed_at', models.DateTimeField(blank=True, null=True)),
                ('error', models.TextField(blank=True, help_text='The error of the last failure.')),
            ],
            options={
                'ordering': ['clock'],
            },
        ),
        migrations.CreateModel(
            name='GatewayEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('provider', models.CharField(choices=[('TEST', 'test gateway (no money moves)'), ('STRIPE', 'Stripe'), ('PAYPAL', 'PayPal'), ('FLUTTERWAVE', 'Flutterwave')], max_length=20)),
                ('event_id', models.CharField(max_length=200)),
                ('kind', models.CharField(max_length=100)),
                ('reference', models.CharField(blank=True, max_length=200)),
                ('received_at', models.DateTimeField()),
                ('processed_at', models.DateTimeField(blank=True, null=True)),
                ('payment', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='gateway_events', to='storefront.payment')),
            ],
            options={
                'ordering': ['-received_at', '-id'],
                'constraints': [models.UniqueConstraint(fields=('provider', 'event_id'), name='gatewayevent_is_noted_once')],
            },
        ),
        migrations.CreateModel(
            name='Refund',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('request_id', models.CharField(help_text='Identifies retries.', max_length=100)),
                ('amount', models.DecimalField(decimal_places=3, max_digits=14, validators=[django.core.validators.MinValueValidator(0)])),
                ('state', models.CharField(choices=[('PENDING', 'pending'), ('REQUIRES_ACTION', 'action required'), ('SUCCEEDED', 'succeeded'), ('FAILED', 'failed'), ('CANCELLED', 'cancelled')], default='PENDING', max_length=20)),
                ('reason', models.TextField(blank=True)),
                ('restock', models.BooleanField(help_text='Whether the items are restocked.')),
                ('reference', models.CharField(blank=True, help_text="The gateway's id.", max_length=200)),
                ('failure', models.TextField(blank=True)),
                ('created_at', models.DateTimeField()),
                ('ask_at', models.DateTimeField(help_text='When the gateway is asked next.')),
                ('actor', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('payment', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='refunds', to='storefront.payment')),
            ],
            options={
                'ordering': ['created_at', 'id'],
                'indexes': [models.Index(condition=models.Q(('state', 'PENDING')), fields=['ask_at'], name='refund_pending')],
                'constraints': [models.UniqueConstraint(fields=('payment', 'request_id'), name='refund_is_requested_once'), models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='refund_amount_is_positive')],
            },
        ),
        migrations.CreateModel(
            name='TestCharge',
            fields=[
                ('key', models.UUIDField(primary_key=True, serialize=False)),
                ('amount', models.DecimalField(decimal_places=3, max_digits=14, validators=[django.core.validators.MinValueValidator(0)])),
                ('currency', models.CharField(max_length=3)),
                ('state', models.CharField(choices=[('PENDING', 'pending'), ('REQUIRES_ACTION', 'action required'), ('SUCCEEDED', 'succeeded'), ('FAILED', 'failed'), ('CANCELLED', 'cancelled')], max_length=20)),
                ('failure', models.TextField(blank=True)),
                ('refunded', models.DecimalField(decimal_places=3, default=0, max_digits=14, validators=[django.core.validators.MinValueValidator(0)])),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('refunded__lte', models.F('amount'))), name='testcharge_is_not_overdrawn')],
            },
        ),
        migrations.CreateModel(
            name='TestRefund',
            fields=[
                ('key', models.UUIDField(primary_key=True, serialize=False)),
                ('amount', models.DecimalField(decimal_places=3, max_digits=14, validators=[django.core.validators.MinValueValidator(0)])),
                ('charge', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='refunds', to='storefront.testcharge')),
            ],
        ),
        migrations.CreateModel(
            name='Change',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField()),
                ('action', models.CharField(choices=[('CREATED', 'created'), ('UPDATED', 'updated'), ('DELETED', 'deleted')], max_length=10)),
                ('kind', models.CharField(help_text='The name of the model.', max_length=50)),
                ('key', models.CharField(max_length=50)),
                ('label', models.CharField(help_text='The name of the object at that time.', max_length=300)),
                ('fields', models.JSONField(encoder=django.core.serializers.json.DjangoJSONEncoder, help_text='The values before and after, by field name.')),
                ('actor', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'activity',
                'verbose_name_plural': 'activity log',
                'ordering': ['-id'],
                'indexes': [models.Index(fields=['kind', 'key', '-id'], name='change_of')],
            },
        ),
        migrations.CreateModel(
            name='Import',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('PRODUCTS', 'products (Shopify CSV)'), ('STOCK', 'stock count')], max_length=10)),
                ('state', models.CharField(choices=[('CHECKING', 'checking'), ('CHECKED', 'checked'), ('RUNNING', 'importing'), ('DONE', 'imported')], max_length=10)),
                ('file_name', models.CharField(blank=True, max_length=200, verbose_name='file')),
                ('columns', models.JSONField(editable=False)),
                ('header_lines', models.PositiveIntegerField(editable=False)),
                ('total', models.PositiveIntegerField(default=0, verbose_name='lines')),
                ('done', models.PositiveIntegerField(default=0, verbose_name='lines done')),
                ('created', models.PositiveIntegerField(default=0)),
                ('updated', models.PositiveIntegerField(default=0)),
                ('unchanged', models.PositiveIntegerField(default=0)),
                ('failed', models.PositiveIntegerField(default=0, verbose_name='lines that failed')),
                ('pictures_left', models.PositiveIntegerField(default=0, verbose_name='pictures left out')),
                ('created_at', models.DateTimeField()),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('claimed_until', models.DateTimeField(blank=True, editable=False, null=True)),
                ('actor', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-id'],
                'default_permissions': (),
                'constraints': [models.CheckConstraint(condition=models.Q(('done__lte', models.F('total'))), name='import_is_done_at_its_end')],
            },
        ),
        migrations.CreateModel(
            name='ImportPart',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('first_line', models.PositiveIntegerField()),
                ('content', models.BinaryField()),
                ('parent', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='parts', to='storefront.import')),
            ],
            options={
                'default_permissions': (),
                'constraints': [models.UniqueConstraint(fields=('parent', 'first_line'), name='importpart_is_one_a_line')],
            },
        ),
        migrations.CreateModel(
            name='ImportRow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('line', models.PositiveIntegerField()),
                ('handle', models.CharField(blank=True, max_length=200)),
                ('message', models.CharField(max_length=1000)),
                ('failed', models.BooleanField()),
                ('parent', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='rows', to='storefront.import')),
            ],
            options={
                'ordering': ['line', 'id'],
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='CatalogueVersion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('changes', models.PositiveBigIntegerField(default=1)),
            ],
        ),
    ]
