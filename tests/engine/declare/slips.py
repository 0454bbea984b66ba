"""Slips of a hand in the declarations of a model: what is replaced by what, and what has to be said of it."""

from typing import NamedTuple


class Slip(NamedTuple):
    """`old` is replaced by `new`; each of `said` has to be in the one sentence that names the fault."""

    name: str
    old: str
    new: str
    said: tuple[str, ...]


LOOKUP = 'columns=(Column("price", "number"),),'
TABLE = 'after=("warehouse/products",),'
GATE = 'gate=GateRule(metric="roc_auc", floor=0.4),'
OUTCOME = 'outcome="churned",'
KEY = '("sku",),'
FEATURES = 'features=(Feature("plan", "text"), Feature("price", "number")),'
REQUEST = "    plan: str\n"
OUTPUT = 'output=Output(name="churned", kind="classifier", classes=("no", "yes")),'
STRUCT = "class ChurnRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):"
ENTITY = 'entity=("account",),'
QUERY = '"SELECT sku, price FROM products",'
ESTIMATOR = "estimator=lambda: DummyClassifier(),"
RETURN = 'return {"plan": columns["plan"], "price": columns["product.price"]}'

COMPUTE = "compute=features,"
PRICE = '"price": columns["product.price"]}'
NONE = "PREPARATIONS = ()"
_READING = 'Preparation("{}", query="SELECT 1", reads=("prepared/{}",))'
CIRCLE = f"PREPARATIONS = ({_READING.format('a', 'b')}, {_READING.format('b', 'a')})"

SLIPS = (
    # The names of fields.
    Slip("a misspelt field of Model", "outcome=", "outcom=", ("model 'churn'", "'outcom'", "Did you mean outcome?")),
    Slip("a misspelt field of GateRule", "floor=0.4", "flor=0.4", ("GateRule", "'flor'", "Did you mean floor?")),
    Slip("a misspelt field of a table", "after=", "afer=", ("table 'products'", "'afer'", "Did you mean after?")),
    Slip("a misspelt field of Lookup", "key={", "keys={", ("lookup 'product'", "'keys'", "Did you mean key?")),
    Slip("a misspelt field of Contract", "entity=", "entities=", ("Contract 'churn'", "Did you mean entity?")),
    Slip("a misspelt field of Output", "classes=", "class_names=", ("Output 'churned'", "'class_names'")),
    Slip("a field of Model forgotten", ESTIMATOR, "", ("model 'churn'", "the field 'estimator'", "Add `estimator=`")),
    Slip("two fields misspelt at once", GATE, "gaet=GateRule(), windw=3,", ("'gaet'", "'windw'", "window")),
    # The types of their values.
    Slip("an outcome that is no text", OUTCOME, "outcome=3,", ("outcome of model 'churn'", "a text", "int 3")),
    Slip("a window in a text", OUTCOME, f'{OUTCOME} window="6",', ("window of model", "a whole number", "str '6'")),
    Slip("a key that is a text", KEY, '"sku",', ("key of table 'products'", "a tuple of texts", "str 'sku'")),
    Slip("reads that is a text", 'reads=("orders",)', 'reads="orders"', ("reads of model", "a sequence of texts")),
    Slip("after that is a text", TABLE, 'after="warehouse/products",', ("after of table", "a sequence of texts")),
    Slip("a lookup's key that is a tuple", '{"sku": "product"}', '("sku", "product")', ("key of lookup", "a dict")),
    Slip("columns that are one column", LOOKUP, 'columns=Column("price", "number"),', ("columns of lookup", "Column")),
    Slip("a lookup without a key", 'key={"sku": "product"},', "", ("key of lookup 'product'", "found none")),
    Slip("a kind that there is not", '"price", "number"),)', '"price", "float"),)', ("'number' or 'text'", "'float'")),
    Slip("an interval of a classifier", OUTCOME, f"{OUTCOME} interval=0.9,", ("interval of model", "a regressor")),
    Slip("sets of all outcomes", OUTCOME, f"{OUTCOME} sets=1.0,", ("sets of model", "a share below 1", "1.0")),
    Slip("an unknown cadence", OUTCOME, f'{OUTCOME} every="hour",', ("every of model", "'day'", "'hour'")),
    Slip("days as a number", OUTCOME, f"{OUTCOME} outcome_after=30,", ("outcome_after", "a timedelta", "int 30")),
    Slip("a gate that is a number", GATE, "gate=0.6,", ("gate of model 'churn'", "a GateRule", "float 0.6")),
    Slip("a metric that there is not", '"roc_auc"', '"auc"', ("metric of GateRule", "'roc_auc'", "'auc'")),
    Slip("an estimator instance", ESTIMATOR, "estimator=DummyClassifier(),", ("estimator", "a function", "lambda")),
    Slip("an estimator in a text", ESTIMATOR, 'estimator="boosting",', ("estimator of model", "a function")),
    Slip("an estimator with arguments", "lambda:", "lambda depth:", ("estimator of model", "needs depth")),
    Slip("an estimator that returns none", ESTIMATOR, "estimator=lambda: None,", ("estimator", "fit", "NoneType")),
    Slip("an estimator of the other kind", "lambda: DummyClassifier", "lambda: DummyRegressor", ("predict_proba",)),
    Slip("an estimator that fails", "DummyClassifier(),", "DummyClassifier(depth=1),", ("estimator", "depth")),
    Slip(
        "an estimator that nothing stores",
        "DummyClassifier()",
        'type("Own", (DummyClassifier,), {})()',
        ("estimator Own", "that skops can store"),
    ),
    Slip("fresh_within of none", TABLE, f"{TABLE} fresh_within=timedelta(0),", ("fresh_within", "above zero")),
    # What they say.
    Slip("a misspelt outcome", OUTCOME, 'outcome="churnd",', ("query of model 'churn'", "'churnd'", "churned")),
    Slip("an outcome that is asked", OUTCOME, 'outcome="plan",', ("outcome of model", "'plan', a request field")),
    Slip("a window of none", OUTCOME, f"{OUTCOME} window=0,", ("window of model", "at least 1 period", "found 0")),
    Slip("two faults at once", OUTCOME, f"{OUTCOME} window=0, cron='x',", ("window of model", "cron of model")),
    Slip("a query without its window", ":until", "'2030-01-01'", ("query of model", ":until")),
    Slip("a misspelt end of the window", ":until", ":untill", ("than :from, :until", ":untill", "Did you mean until?")),
    Slip("a value that is never bound", "FROM products", "FROM products WHERE sku > :least", ("no values", ":least")),
    Slip("a query without a field", "account, plan, product,", "account, product,", ("query of model", "'plan'")),
    Slip("a query without two fields", "account, plan, product,", "account,", ("'plan'", "'product'")),
    Slip("a query that is no SQL", "SELECT account", "SELCT account", ("Parser Error", "SELCT")),
    Slip("a table that there is not", "FROM orders", "FROM ordrs", ("ordrs", "Did you mean")),
    Slip("a field of another type", REQUEST, "    plan: int\n", ("whole numbers", "'plan'")),
    Slip("a required field that is null", "account, plan, product", "account, nobody AS plan, product", ("'plan'",)),
    Slip("a metric of another task", '"roc_auc"', '"rmse"', ("gate of model", "metrics for binary", "'rmse'")),
    Slip("a slice by no field", "floor=0.4", 'floor=0.4, slice_by="region"', ("slice_by of gate", "'region'")),
    Slip("a floor of no slices", "floor=0.4", "floor=0.4, slice_floor=0.3", ("slice_floor", "`slice_by`")),
    Slip("a negative margin", "floor=0.4", "floor=0.4, margin=-1", ("margin of 'roc_auc'", "found -1")),
    Slip("classes that the labels are not", '("no", "yes")', '("stays", "leaves")', ("outcome", "'no'", "stays")),
    Slip("a regressor with classes", 'kind="classifier"', 'kind="regressor"', ("classes of output", "no, yes")),
    Slip("one class", '("no", "yes")', '("yes",)', ("classes of output", "at least two", "'yes'")),
    Slip("a class twice", '("no", "yes")', '("yes", "yes")', ("classes of output", "each name once")),
    Slip(
        "rows of another window", ">= :from AND", ">= :from OR", ("query of model 'churn'", "rows with asked_at from")
    ),
    Slip("rows twice", "FROM orders", "FROM orders, range(2)", ("one row per account and asked_at", "2 with account")),
    Slip(
        "asked at a text", "asked_at, churned FROM", "'1.5.' AS asked_at, churned FROM", ("a date or time in column",)
    ),
    Slip("a first period without rows", OUTCOME, f'{OUTCOME} first_period="2026-10",', ("2026-04", "2026-10 or a")),
    # The request and the features.
    Slip("a request that ignores", "forbid_unknown_fields=True, ", "", ("request of model", "forbid_unknown_fields")),
    Slip("a renamed request", "kw_only=True", 'kw_only=True, rename="camel"', ("'asked_at'", "'askedAt' in JSON")),
    Slip("a list in a request", REQUEST, "    plan: list[str]\n", ("request field 'plan'", "a number, text, date")),
    Slip("an entity that is no field", ENTITY, 'entity=("acount",),', ("entity of model", "Did you mean account?")),
    Slip("an entity of nothing", ENTITY, "entity=(),", ("entity of model 'churn'", "found none")),
    Slip("a feature twice", FEATURES, 'features=(Feature("plan", "text"),) * 2,', ("features of", "'plan' twice")),
    Slip("no feature", FEATURES, "features=(),", ("features of model 'churn'", "at least one")),
    Slip("features that are not returned", FEATURES, 'features=(Feature("price", "number"),),', ("found plan, price",)),
    Slip("a feature of a misspelt column", 'columns["plan"]', 'columns["plam"]', ("features", "'plam'", "plan")),
    Slip("a feature of the other kind", '"plan": columns["plan"]', '"plan": np.zeros(1)', ("feature 'plan'", "texts")),
    Slip("features that are no mapping", RETURN, "return 5", ("features of model 'churn'", "returns a dict")),
    Slip("a model with a dash", 'model="churn"', 'model="my-churn"', ("name of model 'my-churn'", "letters, digits")),
    Slip(
        "asked at a text field",
        "asked_at: datetime",
        "asked_at: str",
        ("asked_at of model", "a date or time", "a text"),
    ),
    Slip("features that return nothing", RETURN, RETURN.removeprefix("return "), ("returns a dict", "found NoneType")),
    Slip(
        "a column of the lookup that is not wanted",
        'columns["product.price"]',
        'columns["product.size"]',
        ("KeyError: 'product.size', in model_tools/churn.py, line 26",),
    ),
    Slip(
        "no number among the texts",
        '"plan": columns["plan"]',
        '"plan": np.full(len(columns["plan"]), np.nan, dtype=object)',
        ("feature 'plan' of model 'churn'", "texts, and None where there is none", "found float"),
    ),
    # Functions that cannot be called, and values that nothing can be.
    Slip("compute without a parameter", COMPUTE, "compute=lambda: {},", ("compute of model 'churn'", "too many")),
    Slip("compute of two parameters", "features(columns):", "features(columns, rows):", ("compute", "'rows'")),
    Slip("compute that is async", "def features", "async def features", ("compute of model", "an async function")),
    Slip("compute that yields", RETURN, 'yield "plan", columns["plan"]', ("compute of model", "a generator")),
    Slip("compute that is called", COMPUTE, "compute=features({}),", ("model_tools/churn.py", "KeyError: 'plan'")),
    Slip("a scalar for a feature", PRICE, '"price": 3.0}', ("feature 'price'", "1000 numbers", "found 3.0")),
    Slip("a feature of a row too few", PRICE, PRICE[:-1] + "[1:]}", ("feature 'price'", "shape (999,)")),
    Slip("a feature of columns", PRICE, PRICE[:-1] + ".reshape(-1, 1)}", ("feature 'price'", "shape (1000, 1)")),
    Slip("a feature of times", PRICE, '"price": columns["asked_at"]}', ("feature 'price'", "datetime64")),
    Slip(
        "a feature that changes its column",
        RETURN,
        'columns["product.price"][0] = 1.0; ' + RETURN,
        ("read-only", "line 26"),
    ),
    Slip("fit of one parameter", OUTCOME, f"{OUTCOME} fit=lambda one: one,", ("fit of model", "estimator and rows")),
    Slip("base_rate_by of none", OUTCOME, f"{OUTCOME} base_rate_by=lambda: 1,", ("base_rate_by of model", "the rows")),
    Slip(
        "a kind of boosting that there is not",
        ESTIMATOR,
        "estimator=lambda: __import__('penstock.declare.estimators').declare.estimators.boosting('classify'),",
        ("kind of boosting()", "'classifier' or 'regressor'", "found 'classify'"),
    ),
    Slip("an estimator in a list", ESTIMATOR, "estimator=lambda: [DummyClassifier()],", ("estimator", "found list")),
    Slip(
        "continuing without partial_fit", OUTCOME, f'{OUTCOME} continues="partial_fit",', ("DummyClassifier without",)
    ),
    Slip("continuing without warm_start", OUTCOME, f'{OUTCOME} continues="warm_start",', ("continues", "warm_start")),
    Slip(
        "a floor that no score reaches", "floor=0.4", "floor=40", ("floor of 'roc_auc'", "at most 1, the best ROC AUC")
    ),
    Slip("a floor of NaN", "floor=0.4", 'floor=float("nan")', ("floor of GateRule", "a number", "float nan")),
    Slip("a margin of NaN", "floor=0.4", 'floor=0.4, margin=float("nan")', ("margin of GateRule", "float nan")),
    Slip("a metric twice", "floor=0.4", 'floor=0.4, also=(Bound("roc_auc", 0.7),)', ("metrics of GateRule", "twice")),
    Slip(
        "also that is one bound", "floor=0.4", 'floor=0.4, also=Bound("brier", 0.7)', ("also of GateRule", "tuple of")
    ),
    Slip("a first period to come", OUTCOME, f'{OUTCOME} first_period="2999-01",', ("first_period", "has begun")),
    Slip("a first period of weeks", OUTCOME, f'{OUTCOME} first_period="2026-W04",', ("first_period", "a month")),
    Slip(
        "a weight of texts", OUTCOME, f'{OUTCOME} sample_weight="churned",', ("sample_weight 'churned'", "found string")
    ),
    Slip(
        "a floor that no slice reaches",
        "floor=0.4",
        'floor=0.4, slice_by="plan", slice_floor=2',
        ("slice_floor of 'roc_auc'", "at most 1"),
    ),
    Slip("a weight that lacks", OUTCOME, f'{OUTCOME} sample_weight="wieght",', ("query of model 'churn'", "'wieght'")),
    Slip(
        "asked at a number",
        COMPUTE,
        f'{COMPUTE} asked_at="account",',
        ("asked_at of model", "a date or time", "a number"),
    ),
    Slip("a zone that there is not", COMPUTE, f'{COMPUTE} zone="Berlin",', ("zone of model", "found 'Berlin'")),
    Slip("a retired field that is asked", COMPUTE, f'{COMPUTE} retired=("plan",),', ("retired of model", "'plan'")),
    Slip("an instance for the request", "request=ChurnRequest,", "request=3,", ("request of Contract", "a class that")),
    Slip("a request with a tag", "kw_only=True):", "kw_only=True, tag=True):", ("request of model", "with tag")),
    Slip("a request that is an array", "kw_only=True):", "kw_only=True, array_like=True):", ("with array_like=True",)),
    Slip(
        "bounds with nothing between",
        REQUEST,
        f"{REQUEST}    size: Annotated[int, msgspec.Meta(ge=5, le=3)] | None = None\n",
        ("request field 'size'", "at least 5 and at most 3"),
    ),
    Slip(
        "a default that no request may have",
        REQUEST,
        f"{REQUEST}    size: Annotated[int, msgspec.Meta(ge=5)] = 4\n",
        ("request field 'size'", "a default that the field accepts", "found 4: expected `int` >= 5"),
    ),
    Slip("a feature of its batch", PRICE, PRICE[:-1] + ".cumsum()}", ("feature 'price'", "of a row alone")),
    Slip("features that end the program", RETURN, "raise SystemExit(3)", ("features of model", "SystemExit: 3")),
    Slip(
        "outcomes after all times", OUTCOME, f"{OUTCOME} outcome_after=timedelta.max,", ("outcome_after", "100 years")
    ),
    Slip("a window of all times", OUTCOME, f"{OUTCOME} window=10**6,", ("window of model", "at most 1,200 months")),
    Slip("fresh within all times", TABLE, f"{TABLE} fresh_within=timedelta.max,", ("fresh_within", "100 years")),
    Slip("a field of two kinds", REQUEST, "    plan: str | int\n", ("request field 'plan'", "one kind", "str | int")),
    Slip("features that are texts", FEATURES, 'features=("plan", "price"),', ("features of Contract", "Feature")),
    Slip("an entity in a text", ENTITY, 'entity="account",', ("entity of Contract", "a tuple of texts")),
    Slip("classes in a list", '("no", "yes")', '["no", "yes"]', ("classes of Output", "a tuple of texts", "list")),
    Slip("a budget of NaN", LOOKUP, f'{LOOKUP} budget_ms=float("nan"),', ("budget_ms of lookup", "float nan")),
    Slip("an age without a time", LOOKUP, f"{LOOKUP} max_age=__import__('datetime').timedelta(1),", ("and an as_of",)),
    Slip("bounds in a list", TABLE, f'{TABLE} bounds={{"price": [0, 1]}},', ("bounds of table", "pairs of numbers")),
    Slip("bounds the wrong way", TABLE, f'{TABLE} bounds={{"price": (9.0, 1.0)}},', ("bounds of 'price'", "(9, 1)")),
    Slip("bounds of no column", TABLE, f'{TABLE} bounds={{"prise": (0.0, 9.0)}},', ("bounds of table", "mean price?")),
    Slip("a key twice", KEY, '("sku", "sku"),', ("key of table 'products'", "'sku' twice")),
    Slip("a watermark that lacks", TABLE, f'{TABLE} watermark="at",', ("watermark of table 'products'", "'at'")),
    Slip("an index that lacks", TABLE, f'{TABLE} indexes=(("prise",),),', ("indexes of table", "Did you mean price?")),
    Slip("an index that is a text", TABLE, f'{TABLE} indexes=("price",),', ("indexes of table", "tuples of texts")),
    Slip("full_every of less than none", TABLE, f"{TABLE} full_every=timedelta(-1),", ("full_every", "zero or more")),
    Slip("changes of less than none", TABLE, f"{TABLE} largest_delta=-0.5,", ("largest_delta", "at least 0")),
    Slip("preparations in a circle", NONE, CIRCLE, ("preparations", "reads itself", "Break the circle")),
    Slip(
        "a preparation that reads none",
        NONE,
        'PREPARATIONS = (Preparation("a", query="SELECT 1", reads=("prepared/b",)),)',
        ("preparation 'a' reads", "'prepared/b'"),
    ),
    Slip(
        "a preparation twice",
        NONE,
        'PREPARATIONS = (Preparation("a", query="SELECT 1"), Preparation("a", query="SELECT 2"))',
        ("Preparation 'a'", "a second in"),
    ),
    Slip(
        "a preparation that is not in a tuple",
        NONE,
        'PREPARATIONS = Preparation("a", query="SELECT 1")',
        ("PREPARATIONS in assets/churn.py", "a tuple of Preparation"),
    ),
    # What only rows can tell.
    Slip(
        "a parameter that the estimator refuses",
        ESTIMATOR,
        "estimator=lambda: DummyClassifier(strategy='oftenest'),",
        ("estimator DummyClassifier of model 'churn'", "'strategy'", "'oftenest'"),
    ),
    Slip(
        "more held-out rows than there are",
        GATE,
        "gate=GateRule(floor=0.4, minimum_rows=5_000),",
        ("held-out rows of model 'churn'", "minimum_rows 5,000", "720"),
    ),
    # What a file declares.
    Slip(
        "models instead of one", "MODEL = Model(", "MODEL = lambda: Model(", ("MODEL in assets/churn.py", "one Model")
    ),
    Slip("a name that is not imported", "GateRule(metric", "GateRul(metric", ("assets/churn.py", "'GateRul'")),
    Slip("a comma forgotten", OUTCOME, 'outcome="churned"', ("assets/churn.py", "comma")),
)
