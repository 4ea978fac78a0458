"""
Synthesizing a table
====================

A synthetic table can be shared where the real one is confidential. It is useful if models trained on it are as accurate
on real rows as models trained on real rows, and it has no copies if its rows are no closer to the training rows than
other real rows are.
"""

# %%
# The diabetes table has integers, numbers with one, two or four decimals, and a category. One quarter is held out.
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
real, held_out = train_test_split(df, random_state=0)
print(real.head(3))

# %%
# `~skae.tables.TableAutoencoder` uses a likelihood suited to each column. Sampled tables have the columns, dtypes,
# categories and decimals of the real one, and stay within the bounds of its columns.
table = TableAutoencoder(VAEGenerator(8, random_state=0)).fit(real)
synthetic = table.sample(len(real), random_state=0)
print(synthetic.head(3))

# %%
# Train regressors on real and on synthetic rows, and test both on held-out real rows. The linear model loses accuracy
# by the synthetic rows, the forest does not.
for regressor in (Ridge(), RandomForestRegressor(random_state=0)):
    encoder = make_column_transformer((OneHotEncoder(drop="first"), ["sex"]), remainder="passthrough")
    pipe = make_pipeline(encoder, regressor)
    scores = [
        pipe.fit(train.drop(columns="progression"), train.progression).score(
            held_out.drop(columns="progression"), held_out.progression
        )
        for train in (real, synthetic)
    ]
    print(f"{type(regressor).__name__:21} R² trained on real rows {scores[0]:.2f}, on synthetic rows {scores[1]:.2f}")

# %%
# Compare distances to the nearest training row, of synthetic and of held-out rows, in the encoding of the autoencoder.
# A ratio far below 1 would mean copies.
encode = table.encoder_.transform
found = memorization(encode(real), encode(synthetic), encode(held_out))
print(f"distance to the nearest training row: {found.ratio:.2f} times that of held-out rows")

# %%
# With ``given`` some columns are fixed, and the others are sampled conditionally on them: here a high body mass index.
heavy = table.sample(300, random_state=0, given={"bmi": 35.0, "sex": "second"})
similar = df[df.bmi.between(33, 37)].progression.mean()
print(f"mean progression at a bmi of 35: real {similar:.0f}, synthetic {heavy.progression.mean():.0f}")

# %%
# The relation of two columns, and the differences of all correlations: the synthetic rows keep them approximately.
fig, axes = plt.subplots(1, 3, figsize=(10, 3.6), layout="constrained")
for ax, name, shown in ((axes[0], "Real", real), (axes[1], "Synthetic", synthetic)):
    ax.scatter(shown.bmi, shown.progression, c=shown.sex.cat.codes, s=8, cmap="coolwarm_r", alpha=0.7)
    ax.set(title=name, xlabel="bmi", ylabel="progression", xlim=(17, 43), ylim=(10, 360))
numbers = df.columns.drop("sex")
difference = synthetic[numbers].corr() - real[numbers].corr()
image = axes[2].imshow(np.asarray(difference), cmap="RdBu", vmin=-1, vmax=1)
axes[2].set(title="Difference of correlations", xticks=[], yticks=[])
fig.colorbar(image, ax=axes[2])
plt.show()
