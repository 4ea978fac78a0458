"""
A table of rows that nobody owns
================================

Rows made by a model may be handed on where real ones may not. They are good if a classifier trained on them does as
well on real rows as one trained on real rows, and they are no copies if they lie no nearer to the rows fitted than
other real rows do.
"""

# %%
# ``conditional=True`` makes rows for the classes that are asked for. Samples of a table are drawn with the noise that
# the model has found in the data, so that features have the spread that they have in X.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import VAEGenerator
from skae.metrics import memorization

data = load_breast_cancer()
X, held_out, y, y_held_out = train_test_split(data.data, data.target, stratify=data.target, random_state=0)
scaler = StandardScaler().fit(X)
rows, others = scaler.transform(X), scaler.transform(held_out)
vae = VAEGenerator(8, conditional=True, random_state=0).fit(rows, y)
made = vae.sample(y=y, random_state=0)

# %%
# Train on what was made, test on real rows.
for classifier in (make_pipeline(StandardScaler(), LogisticRegression()), RandomForestClassifier(random_state=0)):
    real = classifier.fit(rows, y).score(others, y_held_out)
    synthetic = classifier.fit(made, y).score(others, y_held_out)
    print(f"accuracy trained on real rows {real:.3f}, on rows made {synthetic:.3f}")
found = memorization(rows, made, others)
print(f"Distance to the nearest row fitted: {found.ratio:.2f} times that of rows held out")

# %%
# The made rows keep how columns go together.
table = scaler.inverse_transform(made)
fig, axes = plt.subplots(1, 3, figsize=(10, 3.6), layout="constrained")
first, second = 0, 7
for ax, name, values in ((axes[0], "real", X), (axes[1], "made", table)):
    ax.scatter(values[:, first], values[:, second], c=y, s=8, cmap="coolwarm_r", alpha=0.7)
    ax.set(title=name, xlabel=data.feature_names[first], ylabel=data.feature_names[second])
axes[1].set(xlim=axes[0].get_xlim(), ylim=axes[0].get_ylim())
difference = np.corrcoef(table.T) - np.corrcoef(X.T)
image = axes[2].imshow(difference, cmap="RdBu", vmin=-1, vmax=1)
axes[2].set(title="correlations, made minus real", xticks=[], yticks=[])
fig.colorbar(image, ax=axes[2])
plt.show()
