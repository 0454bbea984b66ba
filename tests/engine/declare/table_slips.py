"""Slips of a hand in the declarations of lookups and of the tables that they read."""

from tests.engine.declare.slips import KEY, LOOKUP, OUTCOME, QUERY, TABLE, Slip

TABLE_SLIPS = (
    Slip("a lookup in no table", 'table="products"', 'table="product"', ("'product'", "Did you mean products?")),
    Slip("a lookup by no field", '"sku": "product"', '"sku": "prodct"', ("'prodct'", "Did you mean product?")),
    Slip("a lookup by a column that lacks", '{"sku"', '{"skuu"', ("lookup 'product'", "per skuu")),
    Slip("a lookup's misspelt column", '"price", "number"),)', '"prise", "number"),)', ("'prise'", "price")),
    Slip("a table of two queries", "FROM products", "FROM products; SELECT 1", ("query of table", "2 statements")),
    Slip("a table's misspelt column", "SELECT sku, price", "SELECT sku, prise", ("query of table 'products'", "prise")),
    Slip("a lookup's column of another kind", '"price", "number"),)', '"price", "text"),)', ("texts", "'price'")),
    Slip("a lookup as of a text", LOOKUP, f'{LOOKUP} as_of=("sku", "plan"),', ("as_of of lookup", "a time", "'plan'")),
    Slip("a lookup without columns", LOOKUP, "columns=(),", ("columns of lookup 'product'", "at least one")),
    Slip("a column twice", LOOKUP, 'columns=(Column("price", "number"),) * 2,', ("'price' twice",)),
    Slip("a table not unique on the lookup's key", KEY, '("sku", "price"),', ("lookup 'product'", "several rows")),
    Slip(
        "a table not unique on its key",
        QUERY,
        "\"SELECT price, 'p1' AS sku FROM products\",",
        ("key sku=p1 of table", "unique"),
    ),
    Slip("a key that the table lacks", KEY, '("sku_id",),', ("'sku_id'", "products")),
    Slip("a preparation that there is not", TABLE, 'after=("prepared/products",),', ("after", "'prepared/products'")),
    Slip("after of nothing known", TABLE, 'after=("products",),', ("after of table", "warehouse/<table>")),
    Slip("a cron of four fields", TABLE, f'{TABLE} cron="0 4 * *",', ("cron of table 'products'", "five fields")),
    Slip("a share above one", TABLE, f"{TABLE} largest_drop=20.0,", ("largest_drop", "a share from 0 to 1")),
    Slip("a table with a dash", '"products",\n        "SELECT', '"my-products",\n        "SELECT', ("'my-products'",)),
    Slip("an owner without a team", TABLE, f'{TABLE} owner="ada",', ("owner of table 'products'", "`team:ada`")),
    Slip("an owner of a model", OUTCOME, f'{OUTCOME} owner="ada",', ("owner of model 'churn'", "a mail address")),
    Slip(
        "a description of no column",
        TABLE,
        f'{TABLE} columns={{"prise": "Its price."}},',
        ("columns of table", "price"),
    ),
    Slip("more rows than there are", TABLE, f"{TABLE} minimum_rows=500,", ("table 'products'", "minimum_rows 500")),
    Slip(
        "a version of no column",
        TABLE,
        f'{TABLE} version_query="SELECT max(changed) FROM products",',
        ("version_query of table 'products'", "changed"),
    ),
    Slip(
        "a lookup by a field of another kind",
        '"sku": "product"',
        '"sku": "account"',
        ("key of lookup 'product'", "numbers in column 'sku', as in the request field 'account'", "found string"),
    ),
    Slip(
        "a lookup as of a number",
        LOOKUP,
        f'{LOOKUP} as_of=("price", "asked_at"),',
        ("as_of of lookup 'product'", "dates or times in column 'price'"),
    ),
    Slip("a source that is described by a number", '"The orders."', "3", ("SOURCES in", "a dict of table to")),
)
