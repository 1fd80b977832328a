"""The dashboard: `streamlit run dashboard/app.py`."""

from pathlib import Path

import streamlit as st

from schema.documents import BadDocument
from schema.session import SchemaError

st.set_page_config(page_title="tailwatch", page_icon=":material/monitoring:", layout="wide")
st.html(Path(__file__).with_name("style.css"))

page = st.navigation(
    [
        st.Page("views/tonight.py", title="Tonight", default=True),
        st.Page("views/episodes.py", title="Episodes", url_path="episodes"),
        st.Page("views/series.py", title="Series", url_path="series"),
        st.Page("views/compare.py", title="Compare", url_path="compare"),
        st.Page("views/moe.py", title="MoE", url_path="moe"),
        st.Page("views/imported.py", title="Imported", url_path="imported"),
        st.Page("views/detector.py", title="Detector", url_path="detector"),
        st.Page("views/trial.py", title="Trial", url_path="trial"),
    ],
    position="top",
)
try:
    page.run()
except (SchemaError, BadDocument) as error:
    st.error(str(error))
