"""
A table of rows that nobody owns
================================

Rows made by a model may be handed on where real ones may not. They are good if a regression trained on them does as
well on real rows as one trained on real rows, and they are no copies if they lie no nearer to the rows fitted than
other real rows do.
"""

# %%
# A table as it comes: whole numbers, numbers with one, two or four decimals, and a category. Each column has bounds.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from skae import VAEGenerator
from skae.metrics import memorization
from skae.tables import TableAutoencoder

df = load_diabetes(as_frame=True, scaled=False).frame
df = df.astype({"age": int, "target": int}).rename(columns={"target": "progression"})
df["sex"] = df.sex.map({1.0: "first", 2.0: "second"}).astype("category")
rows, others = train_test_split(df, random_state=0)
rows

# %%
# The autoencoder gets a likelihood for each column. What it draws has the columns, the dtypes, the categories, the
# decimals and the bounds of the table.
table = TableAutoencoder(VAEGenerator(8, random_state=0)).fit(rows)
made = table.sample(len(rows), random_state=0)
made

# %%
# Train on what was made, test on real rows.
for regressor in (Ridge(), RandomForestRegressor(random_state=0)):
    encoder = make_column_transformer((OneHotEncoder(drop="first"), ["sex"]), remainder="passthrough")
    pipe = make_pipeline(encoder, regressor)
    scores = [
        pipe.fit(train.drop(columns="progression"), train.progression).score(
            others.drop(columns="progression"), others.progression
        )
        for train in (rows, made)
    ]
    print(f"R² trained on real rows {scores[0]:.2f}, on rows made {scores[1]:.2f}")

# %%
# How near are they to the rows fitted? Distances need numbers, which are those that the autoencoder was trained on.
encode = table.encoder_.transform
found = memorization(encode(rows), encode(made), encode(others))
print(f"Distance to the nearest row fitted: {found.ratio:.2f} times that of rows held out")

# %%
# Any columns can be given, and the others are drawn given these: here rows of a high body mass index.
heavy = table.sample(300, random_state=0, given={"bmi": 35.0, "sex": "second"})
like = df[df.bmi.between(33, 37)]
print(f"Mean progression at a bmi near 35: {like.progression.mean():.0f} in the table, {heavy.progression.mean():.0f} made")

# %%
# The made rows keep how columns go together.
fig, axes = plt.subplots(1, 3, figsize=(10, 3.6), layout="constrained")
for ax, name, shown in ((axes[0], "real", rows), (axes[1], "made", made)):
    ax.scatter(shown.bmi, shown.progression, c=shown.sex.cat.codes, s=8, cmap="coolwarm_r", alpha=0.7)
    ax.set(title=name, xlabel="bmi", ylabel="progression", xlim=(17, 43), ylim=(10, 360))
numbers = df.columns.drop("sex")
difference = made[numbers].corr() - rows[numbers].corr()
image = axes[2].imshow(np.asarray(difference), cmap="RdBu", vmin=-1, vmax=1)
axes[2].set(title="correlations, made minus real", xticks=[], yticks=[])
fig.colorbar(image, ax=axes[2])
plt.show()
