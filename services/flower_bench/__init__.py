"""``flower bench``: measures a deployment, or a throwaway engine, against a floor taken in the same run."""
